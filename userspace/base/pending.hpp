// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {

/// An operation that goes on while its owner does something else. The owner must end it, with
/// result() or give_up(), before it lets it go. Used from one thread, that of `executor`.
template <typename T>
class Pending {
 public:
  /// Starts `operation`, which needs a deadline of its own.
  Pending(asio::any_io_executor executor, Clock& clock, awaitable<Result<T>> operation)
      : clock_(clock), task_(executor, "pending"), ended_(executor, TimePoint::max()) {
    task_.spawn([this, work = std::move(operation)]() mutable -> awaitable<void> {
      const End end(*this);
      result_.emplace(co_await std::move(work));
    });
  }

  bool done() const { return done_; }

  /// Waits for its end, but no longer than `limit`; whether it has ended.
  awaitable<bool> wait(Duration limit) {
    (void)co_await with_deadline(clock_, limit, until_done());
    co_return done();
  }

  /// Waits for its end, and gives what it gave. Errors: Errc::cancelled when the caller is told to
  /// stop, Errc::unavailable when the operation ended by an exception, which is logged. Once.
  awaitable<Result<T>> result() {
    if (!co_await until_done()) task_.cancel();
    co_await task_.drain();
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (!result_) co_return Errc::unavailable;
    co_return *std::move(result_);
  }

  /// Ends it; what it gives is of no interest.
  awaitable<void> give_up() {
    task_.cancel();
    co_await task_.drain();
  }

 private:
  /// Wakes the owner however the operation ends.
  class End {
   public:
    explicit End(Pending& pending) : pending_(pending) {}
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End() {
      pending_.done_ = true;
      pending_.ended_.cancel();
    }

   private:
    Pending& pending_;
  };

  awaitable<Result<void>> until_done() {
    while (!done()) {
      if (co_await asked_to_stop()) co_return Errc::cancelled;
      co_await ended_.async_wait(kTuple);
    }
    co_return Result<void>();
  }

  Clock& clock_;
  TaskGroup task_;
  asio::steady_timer ended_;
  std::optional<Result<T>> result_;
  bool done_ = false;
};

}  // namespace hagring
