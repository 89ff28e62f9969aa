// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "userspace/http/connection.hpp"

namespace hagring::registry {

/// Is told of bytes that have been sent, as they go. Must not throw.
using BytesSent = std::function<void(std::uint64_t bytes)>;

/// Sends `length` bytes of the open `file`, from offset `first` on, as the body of the message
/// whose head was written last: by sendfile(2) where the stream is a plain socket, else in pieces
/// of 256 KiB. `sent`, which outlives it, is told of them. The stream's inactivity limit ends it
/// when the other side stops to read. A file that turns out shorter is never padded. Errors:
/// Errc::truncated for a shorter file, or the stream's; then the connection can only be closed, so
/// that the other side sees the body break off.
awaitable<Result<void>> send_file(http::Connection& connection, int file, std::uint64_t first,
                                  std::uint64_t length, const BytesSent& sent);

}  // namespace hagring::registry
