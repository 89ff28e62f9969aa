// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "dht/kad/key.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// A hand that goes round the key space once in an interval: what lies where it points is told.
/// Each node's starts at the node's own key, so that they don't all point to the same peers.
class SweepClock {
 public:
  SweepClock(const Key& self, Duration interval) : offset_(self.fraction()), interval_(interval) {}

  /// When the hand is first at `place` after `after`: no later than an interval after it.
  TimePoint next_pass(const Key& place, TimePoint after) const {
    const double turns = static_cast<double>(after.time_since_epoch().count()) /
                         static_cast<double>(interval_.count());
    const double ahead = place.fraction() - offset_ - turns;
    return after + std::chrono::duration_cast<Duration>(interval_ * (ahead - std::floor(ahead)));
  }

 private:
  double offset_;
  Duration interval_;
};

}  // namespace hagring::kad
