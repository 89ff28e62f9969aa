// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <utility>

#include "userspace/base/byte_stream.hpp"

namespace hagring::test {

/// How a memory pipe cuts bytes up.
struct PipeOptions {
  /// The most that one read_some returns, so that every boundary can be tried.
  std::size_t max_read = SIZE_MAX;
  /// The most that is buffered each way before a write waits.
  std::size_t capacity = 64 * 1024;
};

/// Two connected ByteStreams without sockets; both ends are used on `executor`'s one thread.
std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_memory_pipe(
    asio::any_io_executor executor, PipeOptions options = {});

}  // namespace hagring::test
