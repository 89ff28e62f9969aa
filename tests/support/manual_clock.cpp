// SPDX-License-Identifier: Apache-2.0
#include "tests/support/manual_clock.hpp"

#include <algorithm>

namespace hagring::test {

ManualClock::ManualClock(WallTime wall) : now_(std::chrono::hours(24)), wall_(wall) {}

awaitable<void> ManualClock::sleep_until(TimePoint when) {
  if (when <= now_) co_return;
  const auto later = std::find_if(sleepers_.begin(), sleepers_.end(),
                                  [when](const Sleeper& sleeper) { return sleeper.when > when; });
  const auto self = sleepers_.emplace(
      later,
      Sleeper{when, asio::steady_timer(co_await asio::this_coro::executor, TimePoint::max())});
  // The list node goes with the coroutine, even when that is destroyed in its sleep.
  struct Leave {
    std::list<Sleeper>& sleepers;
    std::list<Sleeper>::iterator self;
    ~Leave() { sleepers.erase(self); }
  } leave{sleepers_, self};
  co_await self->timer.async_wait(kTuple);
}

void ManualClock::advance(Duration duration) {
  now_ += duration;
  wall_ += std::chrono::duration_cast<WallTime::duration>(duration);
  for (auto& sleeper : sleepers_) {
    if (sleeper.when <= now_) sleeper.timer.cancel();
  }
}

}  // namespace hagring::test
