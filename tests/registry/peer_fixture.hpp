// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <mutex>
#include <vector>

#include "registry/peer_server.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::registry {

/// A PeerServer on loopback with two data threads, and clients on the test's own thread.
class PeerFixture : public testing::Test {
 public:
  PeerFixture() { options.listen = {asio::ip::address_v4::loopback(), 0}; }
  ~PeerFixture() override {
    if (server) test::run(context, server->drain());
  }

  void start() {
    server.emplace(
        context.get_executor(), threads, store, clock, options,
        [this](const Served& served) {
          const std::lock_guard lock(mutex);
          all_served.push_back(served);
        },
        make_gate);
    server->start();
  }

  std::unique_ptr<ByteStream> connect() {
    asio::ip::tcp::socket socket(context);
    socket.connect(server->endpoint());
    auto stream = std::make_unique<SocketStream>(std::move(socket));
    stream->set_inactivity_limit(std::chrono::seconds(20));
    return stream;
  }

  struct Answer {
    http::Response head;
    std::string body;
    std::string header(std::string_view name) const {
      return std::string(head.headers.get(name).value_or("(none)"));
    }
  };

  /// One request and its answer on `connection`.
  Result<Answer> ask(http::Connection& connection, http::Request request) {
    return test::run(context, exchange(connection, std::move(request)));
  }
  Result<Answer> ask(std::string method, std::string target, http::Headers headers = {}) {
    http::Connection connection(connect());
    return ask(connection, make_request(std::move(method), std::move(target), std::move(headers)));
  }
  static http::Request make_request(std::string method, std::string target,
                                    http::Headers headers = {}) {
    headers.add("Host", "peer");
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers = std::move(headers);
    return request;
  }

  awaitable<Result<Answer>> exchange(http::Connection& connection, http::Request request) {
    CO_CHECK(co_await connection.write_request(request));
    CO_CHECK(co_await connection.finish_body());
    co_return co_await read_answer(connection, request.method);
  }

  awaitable<Result<Answer>> read_answer(http::Connection& connection, std::string method) {
    Answer answer;
    CO_TRY(answer.head, co_await connection.read_response(std::move(method)));
    Bytes buffer(256 * 1024);
    while (true) {
      CO_TRY(const auto size, co_await connection.read_body(buffer));
      if (size == 0) co_return answer;
      answer.body += as_text(ByteView(buffer).first(size));
    }
  }

  /// Sends `bytes` as they are and gives back all that comes until the server closes.
  std::string raw(std::string_view bytes) {
    const auto stream = connect();
    return test::run(context, raw_exchange(*stream, bytes));
  }

  /// Sends one byte each 10 ms, never inactive for long, until the server has enough of it; gives
  /// back how many went out.
  awaitable<std::size_t> trickle(ByteStream& stream, std::string bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size() && co_await stream.write(as_bytes(bytes.substr(sent, 1)))) {
      ++sent;
      co_await clock.sleep_for(std::chrono::milliseconds(10));
    }
    co_return sent;
  }

  /// Runs the test's thread until `condition` holds; fails after 20 s.
  void wait_until(const std::function<bool()>& condition) {
    const auto end = clock.now() + std::chrono::seconds(20);
    context.restart();
    while (!condition() && clock.now() < end) {
      if (context.run_one_for(std::chrono::milliseconds(5)) == 0) context.restart();
    }
    ASSERT_TRUE(condition());
  }

  std::vector<Served> served() {
    const std::lock_guard lock(mutex);
    return all_served;
  }

  asio::io_context context;
  SystemClock clock;
  test::MemoryStore store;
  PeerServerOptions options;
  PeerGateMaker make_gate;
  std::mutex mutex;
  std::vector<Served> all_served;
  DataThreads threads{2, "data"};
  std::optional<PeerServer> server;

 private:
  static awaitable<std::string> raw_exchange(ByteStream& stream, std::string_view bytes) {
    std::string all;
    (void)co_await stream.write(as_bytes(bytes));
    Bytes buffer(64 * 1024);
    while (true) {
      const auto size = co_await stream.read_some(buffer);
      if (!size) co_return all;
      all += as_text(ByteView(buffer).first(*size));
    }
  }
};

}  // namespace hagring::registry
