// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <list>

#include "userspace/base/clock.hpp"

namespace hagring::test {

/// A clock that stands still until the test advances it. For one thread.
class ManualClock final : public Clock {
 public:
  /// Starts at a round time that is long after both epochs.
  explicit ManualClock(WallTime wall = WallTime(std::chrono::hours(24 * 365 * 56)));

  TimePoint now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  awaitable<void> sleep_until(TimePoint when) override;

  /// Moves both times on and wakes, in the order of their times, the sleepers that are due; they
  /// run when the test next runs their executor.
  void advance(Duration duration);

  /// Sets the calendar forward, or back: who sleeps sleeps on.
  void set_calendar(Duration by) { wall_ += std::chrono::duration_cast<WallTime::duration>(by); }

  /// How many coroutines sleep, so that a test can wait until what it tests has come to rest.
  std::size_t sleepers() const { return sleepers_.size(); }

 private:
  struct Sleeper {
    TimePoint when;
    asio::steady_timer timer;
  };

  TimePoint now_;
  WallTime wall_;
  std::list<Sleeper> sleepers_;  ///< in the order of `when`
};

}  // namespace hagring::test
