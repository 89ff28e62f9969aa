// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "userspace/base/deadline.hpp"
#include "userspace/base/watch.hpp"

namespace hagring::registry {

/// Runs one operation, and a second one beside it if the first has given nothing after a while. The
/// first to give a value wins, the other is cancelled. Used from one thread, once.
template <typename T>
class Race {
 public:
  using Operation = std::function<awaitable<Result<T>>()>;
  struct Outcome {
    Result<T> result;  ///< the winner's; without one the first operation's error
    bool second_won = false;
  };

  Race(asio::any_io_executor executor, Clock& clock)
      : clock_(clock), watch_(std::move(executor), clock) {}

  /// Returns when both have really ended, so they may refer to the caller's frame. Cancellation of
  /// the caller ends both: Errc::cancelled.
  awaitable<Outcome> run(Operation first, Duration patience, Operation second) {
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    watch_.start(detail::fill(first_, first()));
    co_await watch_.wait(clock_.now() + patience);
    const bool silent = watch_.running() > 0 && !co_await asked_to_stop();
    if (silent) watch_.start(detail::fill(second_, second()));
    while (!decided() && !co_await asked_to_stop()) co_await watch_.wait(TimePoint::max());
    co_await watch_.stop();
    co_await asio::this_coro::throw_if_cancelled(throws);
    log_exception("race", watch_.failure());
    if (co_await asked_to_stop()) co_return Outcome{Errc::cancelled};
    const bool second_won = !has_won(first_) && has_won(second_);
    auto& result = second_won ? second_ : first_;
    // Without a result it has thrown.
    if (!result) co_return Outcome{Errc::unavailable};
    co_return Outcome{*std::move(result), second_won};
  }

 private:
  static bool has_won(const std::optional<Result<T>>& result) { return result && *result; }
  bool decided() const { return watch_.running() == 0 || has_won(first_) || has_won(second_); }

  Clock& clock_;
  Watch watch_;
  std::optional<Result<T>> first_, second_;
};

}  // namespace hagring::registry
