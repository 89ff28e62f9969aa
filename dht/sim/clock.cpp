// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/clock.hpp"

namespace hagring::sim {

awaitable<void> SimClock::sleep_until(TimePoint when) {
  if (when <= now_) co_return;
  const auto self = sleepers_.emplace(
      when, asio::steady_timer(co_await asio::this_coro::executor, TimePoint::max()));
  // The entry goes with the coroutine, even when that is destroyed in its sleep.
  struct Leave {
    std::multimap<TimePoint, asio::steady_timer>& sleepers;
    std::multimap<TimePoint, asio::steady_timer>::iterator self;
    ~Leave() { sleepers.erase(self); }
  } leave{sleepers_, self};
  co_await self->second.async_wait(kTuple);
}

void SimClock::run_ready() {
  context_.restart();
  context_.poll();
}

bool SimClock::run_until(const std::function<bool()>& done, TimePoint end) {
  run_ready();
  while (!done()) {
    if (sleepers_.empty() || sleepers_.begin()->first > end) {
      now_ = std::max(now_, end);
      return false;
    }
    now_ = std::max(now_, sleepers_.begin()->first);
    for (auto due = sleepers_.begin(); due != sleepers_.end() && due->first <= now_; ++due) {
      due->second.cancel();
    }
    run_ready();
  }
  return true;
}

}  // namespace hagring::sim
