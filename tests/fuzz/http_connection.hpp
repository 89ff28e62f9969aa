// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>

#include "tests/fuzz/require.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::fuzz {

/// Feeds `bytes` to a connection, in pieces of the size that their first byte says, and runs `use`
/// on it, which must come to an end.
template <typename Use>
void feed(const std::uint8_t* data, std::size_t size, Use use) {
  if (size == 0) return;
  const std::size_t max_read = data[0] == 0 ? SIZE_MAX : data[0];
  asio::io_context context;
  auto [far, near] = test::make_memory_pipe(context.get_executor(),
                                            {.max_read = max_read, .capacity = size + 64 * 1024});
  http::Connection connection(std::move(near),
                              http::Limits{.head_bytes = 4096, .fields = 32, .buffer_bytes = 4096});
  const auto session = [&]() -> awaitable<void> {
    (void)co_await far->write(ByteView(data + 1, size - 1));
    (void)co_await far->shutdown_write();
    co_await use(connection);
  };
  test::run(context, session());
}

/// Reads a body to its end or to an error; false for an error.
inline awaitable<bool> read_body(http::Connection& connection, std::uint64_t announced) {
  Bytes buffer(100);
  std::uint64_t total = 0;
  while (true) {
    const auto size = co_await connection.read_body(buffer);
    if (!size) {
      require(!connection.reusable());
      co_return false;
    }
    require(*size <= buffer.size());
    total += *size;
    if (*size == 0) break;
  }
  require(connection.body_ended() && (announced == 0 || total == announced));
  co_return true;
}

}  // namespace hagring::fuzz
