// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>

#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::kad {

/// A wait that another coroutine of the same executor can end. One waits at a time.
class Doorbell {
 public:
  Doorbell(asio::any_io_executor executor, Clock& clock)
      : clock_(clock), bell_(executor, TimePoint::max()), alarm_(executor, "a doorbell") {}

  /// Ends the wait, or the next one if nobody waits now.
  void ring() {
    rung_ = true;
    bell_.cancel();
  }

  /// Returns once rung, or when cancelled.
  awaitable<void> wait() {
    if (!rung_) co_await bell_.async_wait(kTuple);
    rung_ = false;
  }

  /// Returns at `when`, once rung, or when cancelled.
  awaitable<void> sleep_until(TimePoint when) {
    if (!rung_) {
      alarm_.spawn([this, when]() -> awaitable<void> {
        co_await clock_.sleep_until(when);
        bell_.cancel();
      });
      co_await bell_.async_wait(kTuple);
      alarm_.cancel();
      co_await alarm_.drain();
    }
    rung_ = false;
  }

 private:
  Clock& clock_;
  bool rung_ = false;
  asio::steady_timer bell_;
  TaskGroup alarm_;
};

}  // namespace hagring::kad
