// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>

#include "userspace/base/deadline.hpp"

namespace hagring::registry {

/// Runs one operation, and a second one beside it if the first has given nothing after a while. The
/// first to give a value wins, the other is cancelled. Used from one thread.
template <typename T>
class Race {
 public:
  using Operation = std::function<awaitable<Result<T>>()>;
  struct Outcome {
    Result<T> result;  ///< the winner's; without one the first operation's error
    bool second_won = false;
  };

  Race(asio::any_io_executor executor, Clock& clock)
      : clock_(clock), tasks_(executor, "race"), changed_(executor) {}

  /// Returns when both have really ended, so they may refer to the caller's frame. Cancellation of
  /// the caller ends both: Errc::cancelled.
  awaitable<Outcome> run(Operation first, Duration patience, Operation second) {
    start(first_, std::move(first));
    const auto waited = co_await with_deadline(clock_, patience, wait_for_an_end());
    const bool silent = !waited && waited.error() == Errc::timed_out;
    if (silent) {
      start(second_, std::move(second));
      co_await wait_for_a_winner();
    }
    co_await stop();
    if (co_await asked_to_stop()) co_return Outcome{Errc::cancelled};
    const bool second_won = !has_won(first_) && has_won(second_);
    auto& result = second_won ? second_.result : first_.result;
    // Without a result it has thrown, and the task group has logged that.
    if (!result) co_return Outcome{Errc::unavailable};
    co_return Outcome{*std::move(result), second_won};
  }

 private:
  struct Runner {
    std::optional<Result<T>> result;
  };
  /// Tells whoever waits, at an operation's end.
  class Ending {
   public:
    explicit Ending(Race& race) : race_(race) {}
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;
    ~Ending() {
      --race_.running_;
      race_.changed_.cancel();
    }

   private:
    Race& race_;
  };
  static bool has_won(const Runner& runner) { return runner.result && *runner.result; }

  void start(Runner& runner, Operation operation) {
    ++running_;
    tasks_.spawn([this, &runner, operation = std::move(operation)]() -> awaitable<void> {
      const Ending ending(*this);
      runner.result.emplace(co_await operation());
    });
  }

  awaitable<Result<void>> wait_for_an_end() {
    while (running_ == 1 && !co_await asked_to_stop()) co_await wait_for_a_change();
    co_return running_ == 1 ? Result<void>(Errc::cancelled) : Result<void>();
  }

  awaitable<void> wait_for_a_winner() {
    const auto decided = [&] { return running_ == 0 || has_won(first_) || has_won(second_); };
    while (!decided() && !co_await asked_to_stop()) co_await wait_for_a_change();
  }

  /// A cancellation that falls between two waits of an operation is lost: it is repeated.
  awaitable<void> stop() {
    while (running_ > 0) {
      tasks_.cancel();
      changed_.expires_after(std::chrono::milliseconds(100));
      co_await changed_.async_wait(kTuple);
    }
    co_await tasks_.drain();
  }

  awaitable<void> wait_for_a_change() {
    changed_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await changed_.async_wait(kTuple);
  }

  Clock& clock_;
  TaskGroup tasks_;
  asio::steady_timer changed_;
  Runner first_, second_;
  int running_ = 0;
};

}  // namespace hagring::registry
