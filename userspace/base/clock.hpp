// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "userspace/base/asio.hpp"

namespace hagring {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

/// Time as a constructor argument, so that a simulation can own it.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Monotonic time.
  virtual TimePoint now() const = 0;

  /// The calendar's time, which may jump; for records that people or other machines read.
  virtual WallTime wall() const = 0;

  /// Returns at `when`, or at once when the coroutine is cancelled. Runs on the caller's executor.
  virtual awaitable<void> sleep_until(TimePoint when) = 0;

  awaitable<void> sleep_for(Duration duration) { return sleep_until(now() + duration); }
};

/// The machine's clock.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
  awaitable<void> sleep_until(TimePoint when) override;
};

}  // namespace hagring
