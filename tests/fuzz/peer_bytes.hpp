// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"

namespace hagring::fuzz {

/// Runs `use` with a stream on which a peer has sent `sent` and FIN, and which returns at most
/// `segment` bytes a read. `use` must come to an end; it gets the peer's end of the pipe too.
template <typename Use>
void with_peer_bytes(ByteView sent, std::size_t segment, Use use) {
  asio::io_context context;
  auto [far, near] = test::make_memory_pipe(
      context.get_executor(), {.max_read = segment, .capacity = sent.size() + 64 * 1024});
  const auto session = [&]() -> awaitable<void> {
    (void)co_await far->write(sent);
    (void)co_await far->shutdown_write();
    co_await use(std::move(near), *far);
  };
  test::run(context, session());
}

/// What is left on `stream`, up to its end or an error.
inline awaitable<Bytes> read_rest(ByteStream& stream) {
  Bytes all;
  Bytes part(4096);
  while (const auto size = co_await stream.read_some(part)) {
    all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*size));
  }
  co_return all;
}

}  // namespace hagring::fuzz
