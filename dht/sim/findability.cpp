// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/findability.hpp"

namespace hagring::sim {
namespace {

constexpr Duration kPeriod = std::chrono::milliseconds(500);

}  // namespace

Findability::Findability(Simulation& simulation, std::vector<HeldKey> keys)
    : simulation_(simulation), keys_(std::move(keys)), seen_(std::make_shared<Seen>()) {}

bool Findability::watch(const std::function<bool()>& done, Duration limit) {
  SimClock& clock = simulation_.clock();
  seen_->last.assign(keys_.size(), clock.now());
  const TimePoint end = clock.now() + limit;
  while (!done()) {
    if (clock.now() >= end) return false;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      simulation_.search(keys_[i], false, [seen = seen_, i, &clock](const Found& found) {
        ++seen->searches;
        if (found.result.providers == 0) {
          ++seen->missed;
          return;
        }
        seen->longest = std::max(seen->longest, clock.now() - seen->last[i]);
        seen->last[i] = clock.now();
      });
    }
    simulation_.run_for(kPeriod);
  }
  for (const TimePoint last : seen_->last) {
    seen_->longest = std::max(seen_->longest, clock.now() - last);
  }
  return true;
}

}  // namespace hagring::sim
