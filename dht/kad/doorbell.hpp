// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>

#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::kad {

/// A sleep that another coroutine of the same executor can end. One sleeper at a time.
class Doorbell {
 public:
  Doorbell(asio::any_io_executor executor, Clock& clock)
      : clock_(clock), bell_(executor, TimePoint::max()), alarm_(executor, "a doorbell") {}

  /// Ends the sleep, or the next one if nobody sleeps now.
  void ring() {
    rung_ = true;
    bell_.cancel();
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
