// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/splice.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "userspace/base/task_group.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::proxy {
namespace {

using tcp = asio::ip::tcp;

/// The most that one splice(2) is asked for; the pipe's slots bound it anyway.
constexpr std::size_t kMostAtOnce = 1 << 20;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

/// Whether a RST or another error waits on the socket; doesn't take it, unlike SO_ERROR.
bool is_broken(int fd) {
  pollfd entry{fd, 0, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0;
}

/// splice(2), tried again after a signal.
ssize_t splice_some(int from, int to, std::size_t size) {
  ssize_t moved = 0;
  do {
    moved = ::splice(from, nullptr, to, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (moved < 0 && errno == EINTR);
  return moved;
}

}  // namespace

/// Empty pipes for the next relays.
class Splicer::PipePool {
 public:
  explicit PipePool(const Options& options) : options_(options) {}

  Result<Pipe> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        Pipe pipe = std::move(spare_.back());
        spare_.pop_back();
        return pipe;
      }
    }
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return last_system_error();
    // A smaller pipe is slower, no error: an agent without CAP_SYS_RESOURCE has a quota.
    ::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(options_.pipe_bytes));
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  /// Only empty pipes: bytes left in one would reach somebody else.
  void give_back(Pipe pipe) {
    const std::lock_guard lock(mutex_);
    if (spare_.size() < options_.spare_pipes) spare_.push_back(std::move(pipe));
  }

 private:
  const Options& options_;
  std::mutex mutex_;
  std::vector<Pipe> spare_;
};

/// One connection's two directions.
class Splicer::Relay {
 public:
  Relay(const Options& options, PipePool& pipes, tcp::socket client, tcp::socket origin,
        Bytes read_ahead, SpliceWatch watch)
      : options_(options),
        pipes_(pipes),
        read_ahead_(std::move(read_ahead)),
        watch_(std::move(watch)),
        client_(std::move(client)),
        origin_(std::move(origin)),
        changed_(client_.socket.get_executor(), TimePoint::max()),
        tasks_(client_.socket.get_executor(), "splice"),
        last_activity_(std::chrono::steady_clock::now()) {}

  awaitable<SpliceResult> run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (auto ready = prepare(); !ready) {
      fail(ready.error());
    } else {
      tasks_.spawn([this] { return pump(client_, origin_, result_.to_origin, read_ahead_); });
      tasks_.spawn([this] { return pump(origin_, client_, result_.to_client, {}); });
      tasks_.spawn([this] { return watch(client_); });
      tasks_.spawn([this] { return watch(origin_); });
      co_await wait_for_the_end();
    }
    ending_ = true;
    tasks_.cancel();
    co_await tasks_.drain();
    close_both();
    co_return result_;
  }

 private:
  struct Side {
    explicit Side(tcp::socket connected) : socket(std::move(connected)) {}
    int fd() { return socket.native_handle(); }

    tcp::socket socket;
    Pipe pipe;                     ///< what was read here and not yet written to the other side
    std::size_t held = 0;          ///< bytes in it
    bool nobody_reads_it = false;  ///< it sent FIN, or the other side takes no more for now
  };

  Result<void> prepare() {
    for (Side* side : {&client_, &origin_}) {
      error_code failed;
      side->socket.native_non_blocking(true, failed);
      if (failed) return failed;
      TRY(side->pipe, pipes_.take());
    }
    return {};
  }

  /// One direction, until `from`'s FIN has been passed on.
  awaitable<void> pump(Side& from, Side& to, std::uint64_t& moved, ByteView first) {
    if (auto moved_all = co_await move(from, to, moved, first); !moved_all) {
      fail(moved_all.error());
      co_return;
    }
    error_code ignored;
    to.socket.shutdown(asio::socket_base::shutdown_send, ignored);
    from.nobody_reads_it = true;
    if (is_broken(from.fd())) fail(asio::error::connection_reset);
    if (++finished_ == 2) changed_.cancel();
  }

  awaitable<Result<void>> move(Side& from, Side& to, std::uint64_t& moved, ByteView first) {
    while (!first.empty()) {
      // Before the write: what it asks for may come back before this goes on.
      touch(to);
      auto [error, size] =
          co_await to.socket.async_write_some(asio::buffer(first.data(), first.size()), kTuple);
      if (error) co_return error;
      first = first.subspan(size);
      moved += size;
    }
    std::size_t since_yield = 0;
    while (true) {
      const ssize_t size = splice_some(from.fd(), from.pipe.write.get(), kMostAtOnce);
      if (size == 0) co_return Result<void>();
      if (size > 0) {
        from.held = static_cast<std::size_t>(size);
        CO_CHECK(co_await empty_pipe(from, to, moved));
        since_yield += static_cast<std::size_t>(size);
        if (since_yield < options_.yield_after) continue;
        since_yield = 0;
        co_await asio::post(kTuple);
      } else if (errno == EAGAIN) {
        if (ending_) co_return Errc::cancelled;
        auto [error] = co_await from.socket.async_wait(tcp::socket::wait_read, kTuple);
        if (error) co_return error;
      } else {
        co_return last_system_error();
      }
    }
  }

  awaitable<Result<void>> empty_pipe(Side& from, Side& to, std::uint64_t& moved) {
    while (from.held > 0) {
      const ssize_t size = splice_some(from.pipe.read.get(), to.fd(), from.held);
      if (size > 0) {
        from.held -= static_cast<std::size_t>(size);
        moved += static_cast<std::size_t>(size);
        touch(to);
      } else if (size < 0 && errno == EAGAIN) {
        if (ending_) co_return Errc::cancelled;
        // Nobody would see a RST of `from` now: look, and let watch() look.
        if (is_broken(from.fd())) co_return error_code(asio::error::connection_reset);
        from.nobody_reads_it = true;
        auto [error] = co_await to.socket.async_wait(tcp::socket::wait_write, kTuple);
        from.nobody_reads_it = false;
        if (error) co_return error;
      } else {
        co_return size == 0 ? error_code(asio::error::broken_pipe) : last_system_error();
      }
    }
    co_return Result<void>();
  }

  /// Sees a RST that pump() can't: while its side isn't read. A side that is read is left to
  /// pump(), which delivers what came before the RST.
  awaitable<void> watch(Side& side) {
    auto [error] = co_await side.socket.async_wait(tcp::socket::wait_error, kTuple);
    if (!error && side.nobody_reads_it && is_broken(side.fd())) {
      fail(asio::error::connection_reset);
    }
  }

  /// Returns when both directions have finished, something failed, or nothing moved for too long.
  awaitable<void> wait_for_the_end() {
    while (finished_ < 2 && !result_.error) {
      changed_.expires_at(next_look());
      if (!co_await asked_to_stop()) co_await changed_.async_wait(kTuple);
      if (co_await asked_to_stop()) {
        fail(Errc::cancelled);
      } else if (std::chrono::steady_clock::now() >= last_activity_ + options_.idle_limit) {
        fail(Errc::timed_out);
      } else {
        look_for_silence();
      }
    }
  }

  TimePoint next_look() const {
    const auto idle = last_activity_ + options_.idle_limit;
    if (!watch_.silent) return idle;
    const auto since = waiting_for_origin_ ? last_activity_ : std::chrono::steady_clock::now();
    return std::min(idle, since + options_.silence);
  }

  void look_for_silence() {
    const bool long_since = std::chrono::steady_clock::now() >= last_activity_ + options_.silence;
    if (!watch_.silent || !waiting_for_origin_ || !long_since) return;
    std::exchange(watch_.silent, nullptr)();
  }

  void close_both() {
    for (Side* side : {&client_, &origin_}) {
      if (side->held == 0 && side->pipe.read) pipes_.give_back(std::move(side->pipe));
      const bool own_wish = result_.error == Errc::cancelled || result_.error == Errc::timed_out;
      error_code ignored;
      if (result_.error && !own_wish) {
        reset(side->socket);
      } else {
        side->socket.close(ignored);
      }
    }
  }

  void fail(error_code error) {
    if (!result_.error) result_.error = error;
    ending_ = true;
    changed_.cancel();
  }

  void touch(const Side& to) {
    last_activity_ = std::chrono::steady_clock::now();
    waiting_for_origin_ = &to == &origin_;
    if (&to == &client_ && watch_.answered) std::exchange(watch_.answered, nullptr)();
  }

  const Options& options_;
  PipePool& pipes_;
  const Bytes read_ahead_;
  SpliceWatch watch_;
  Side client_;
  Side origin_;
  asio::steady_timer changed_;
  TaskGroup tasks_;
  TimePoint last_activity_;
  bool waiting_for_origin_ = false;  ///< what moved last was for it
  int finished_ = 0;
  bool ending_ = false;  ///< asked before each wait: see asked_to_stop()
  SpliceResult result_;
};

Splicer::Splicer(Options options)
    : options_(options), pipes_(std::make_unique<PipePool>(options_)) {
  std::signal(SIGPIPE, SIG_IGN);
}

Splicer::~Splicer() = default;

awaitable<SpliceResult> Splicer::relay(tcp::socket client, tcp::socket origin, Bytes read_ahead,
                                       SpliceWatch watch) {
  Relay relay(options_, *pipes_, std::move(client), std::move(origin), std::move(read_ahead),
              std::move(watch));
  co_return co_await relay.run();
}

void reset(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

}  // namespace hagring::proxy
