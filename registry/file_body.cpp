// SPDX-License-Identifier: Apache-2.0
#include "registry/file_body.hpp"

#include <signal.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <ctime>

#include "userspace/base/task_group.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
/// What one sendfile may move before other connections of the thread have their turn.
constexpr std::size_t kTurn = 1024 * 1024;

struct FileRange {
  int file;
  std::uint64_t offset;
  std::uint64_t remaining;
};

awaitable<Result<void>> copy(http::Connection& connection, FileRange range, const BytesSent& sent) {
  Bytes buffer(std::min<std::uint64_t>(kPiece, range.remaining));
  while (range.remaining > 0) {
    const auto wanted = std::min<std::uint64_t>(buffer.size(), range.remaining);
    const auto size = ::pread(range.file, buffer.data(), wanted, static_cast<off_t>(range.offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) co_return last_system_error();
    if (size == 0) co_return Errc::truncated;
    // A reader that keeps up leaves no wait that could be cancelled.
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    const auto moved = static_cast<std::size_t>(size);
    CO_CHECK(co_await connection.write_body(ByteView(buffer).first(moved)));
    range.offset += moved;
    range.remaining -= moved;
    if (sent) sent(moved);
  }
  co_return Result<void>();
}

/// Keeps SIGPIPE from this thread while it lives: sendfile(2) has no MSG_NOSIGNAL.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigset_t pending;
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    const int kept = errno;
    const timespec at_once{};
    // The signal of our own making is taken back (it comes with a short count, too, not only with
    // EPIPE); another one stays.
    if (!was_pending_) sigtimedwait(&sigpipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = kept;
  }

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

ssize_t send_piece(int socket, const FileRange& range) {
  const WithoutSigpipe guard;
  auto offset = static_cast<off_t>(range.offset);
  return ::sendfile(socket, range.file, &offset, std::min<std::uint64_t>(kTurn, range.remaining));
}

/// Lets the thread's other handlers run.
awaitable<Result<void>> yield() {
  co_await asio::post(kTuple);
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  co_return Result<void>();
}

awaitable<Result<void>> splice_out(http::Connection& connection, FileRange range,
                                   const BytesSent& sent) {
  while (range.remaining > 0) {
    const auto size = send_piece(connection.stream().plain_socket(), range);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {
      CO_CHECK(co_await connection.stream().wait_writable());
      continue;
    }
    // Some file systems can't: the rest is copied.
    if (size < 0 && (errno == EINVAL || errno == ENOSYS)) {
      co_return co_await copy(connection, range, sent);
    }
    if (size < 0) co_return last_system_error();
    if (size == 0) co_return Errc::truncated;
    const auto moved = static_cast<std::uint64_t>(size);
    connection.count_body_bytes(moved);
    range.offset += moved;
    range.remaining -= moved;
    if (sent) sent(moved);
    if (range.remaining > 0) CO_CHECK(co_await yield());
  }
  co_return Result<void>();
}

}  // namespace

awaitable<Result<void>> send_file(http::Connection& connection, int file, std::uint64_t first,
                                  std::uint64_t length, const BytesSent& sent) {
  const FileRange range{file, first, length};
  if (connection.stream().plain_socket() >= 0) {
    CO_CHECK(co_await splice_out(connection, range, sent));
  } else {
    CO_CHECK(co_await copy(connection, range, sent));
  }
  co_return co_await connection.finish_body();
}

}  // namespace hagring::registry
