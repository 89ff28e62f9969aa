// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/asio.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// A connection as a stream of bytes each way: a socket, TLS over one, or a test's pipe. Used from
/// one thread; at most one read and one write are under way at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// Reads at least one byte and at most into.size().
  /// Errors: Errc::end_of_stream at the other side's FIN (over TLS: close_notify),
  /// Errc::timed_out when the inactivity limit passes, Errc::cancelled, or the system's.
  virtual awaitable<Result<std::size_t>> read_some(MutableBytes into) = 0;

  /// Writes all of `from`. Errors as read_some's, with the system's for a broken connection.
  virtual awaitable<Result<void>> write(ByteView from) = 0;

  /// Sends FIN (over TLS: close_notify, then FIN); reading goes on.
  virtual awaitable<Result<void>> shutdown_write() = 0;

  /// Closes at once; reads and writes under way end with Errc::cancelled. Unread bytes of the
  /// other side make the kernel send RST: see linger_close.
  virtual void close() = 0;

  /// From now on a read or write that has been waiting for `limit` without a byte moving ends with
  /// Errc::timed_out, after which the stream can only be closed. Zero means no limit.
  virtual void set_inactivity_limit(Duration limit) = 0;

  /// The socket, when its bytes are exactly this stream's (so that splice and sendfile may be
  /// used); -1 when they are transformed.
  virtual int plain_socket() const { return -1; }

  /// Waits until plain_socket(), which doesn't block, takes bytes again. The inactivity limit
  /// counts. Errors as write's; Errc::unsupported where there is no plain socket.
  virtual awaitable<Result<void>> wait_writable() { co_return Errc::unsupported; }
};

/// Closes without RST: FIN, then reads and drops what still comes, at most `max_bytes` and until
/// the stream's inactivity limit, then closes. containerd resumes a body after FIN and fails the
/// pull after RST (core/remotes/docker/httpreadseeker.go).
awaitable<void> linger_close(ByteStream& stream, Duration limit, std::size_t max_bytes);

}  // namespace hagring
