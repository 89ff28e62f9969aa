// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::http {

/// A Connection at one end of a pipe, raw bytes at the other.
struct Exchange {
  explicit Exchange(test::PipeOptions options = {}, Limits limits = {})
      : ends_(test::make_memory_pipe(context.get_executor(), options)),
        far(std::move(ends_.first)),
        connection(std::move(ends_.second), limits) {}

  void send(std::string_view bytes) {
    ASSERT_TRUE(test::run(context, far->write(as_bytes(bytes))));
  }
  void end() { ASSERT_TRUE(test::run(context, far->shutdown_write())); }

  /// What has come to the far end so far; waits for the first byte.
  std::string received() {
    Bytes bytes(1 << 20);
    const auto size = test::run(context, far->read_some(bytes));
    return size ? std::string(as_text(ByteView(bytes).first(*size))) : "";
  }

  Result<Request> request() { return test::run(context, connection.read_request()); }
  Result<Response> response(std::string method = "GET") {
    return test::run(context, connection.read_response(std::move(method)));
  }
  /// The whole body, read in pieces of at most `piece` bytes.
  Result<std::string> body(std::size_t piece = 1000) { return test::run(context, read_all(piece)); }

  asio::io_context context;

 private:
  std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> ends_;

 public:
  std::unique_ptr<ByteStream> far;
  Connection connection;

 private:
  awaitable<Result<std::string>> read_all(std::size_t piece) {
    std::string all;
    Bytes buffer(piece);
    while (true) {
      CO_TRY(const auto size, co_await connection.read_body(buffer));
      if (size == 0) co_return all;
      all += as_text(ByteView(buffer).first(size));
    }
  }
};

}  // namespace hagring::http
