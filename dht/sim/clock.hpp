// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>

#include "userspace/base/clock.hpp"

namespace hagring::sim {

/// Virtual time: it jumps to the next sleeper whenever nothing is left to run. For one thread.
class SimClock final : public Clock {
 public:
  explicit SimClock(asio::io_context& context) : context_(context) {}

  TimePoint now() const override { return now_; }
  WallTime wall() const override {
    return WallTime(std::chrono::hours(24 * 365 * 56)) +
           std::chrono::duration_cast<WallTime::duration>(now_.time_since_epoch());
  }
  awaitable<void> sleep_until(TimePoint when) override;

  /// Runs the context's work and moves time on until `done` holds; false when `end` comes first.
  bool run_until(const std::function<bool()>& done, TimePoint end);

  /// Runs for `duration` of virtual time.
  void run_for(Duration duration) {
    run_until([] { return false; }, now_ + duration);
  }

 private:
  void run_ready();

  asio::io_context& context_;
  TimePoint now_{std::chrono::hours(24)};
  std::multimap<TimePoint, asio::steady_timer> sleepers_;
};

}  // namespace hagring::sim
