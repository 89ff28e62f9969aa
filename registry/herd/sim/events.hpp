// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <queue>
#include <vector>

#include "userspace/base/clock.hpp"

namespace hagring::herd::sim {

/// What happens when, in virtual time. Events of the same time come in the order they were made.
class Events {
 public:
  TimePoint now() const { return now_; }

  void at(TimePoint when, std::function<void()> what) {
    queue_.push({std::max(when, now_), next_++, std::move(what)});
  }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  /// Runs the next event; false when there is none until `end`.
  bool step(TimePoint end) {
    if (queue_.empty() || queue_.top().when > end) return false;
    Event event = std::move(const_cast<Event&>(queue_.top()));
    queue_.pop();
    now_ = event.when;
    event.what();
    return true;
  }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };

  TimePoint now_{std::chrono::hours(24)};
  std::uint64_t next_ = 0;
  std::priority_queue<Event> queue_;
};

}  // namespace hagring::herd::sim
