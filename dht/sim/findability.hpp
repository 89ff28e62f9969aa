// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "dht/sim/simulation.hpp"

namespace hagring::sim {

/// Searches some keys again and again, from nodes chosen by chance, to see how long one can't be
/// found while something happens to the network.
class Findability {
 public:
  Findability(Simulation& simulation, std::vector<HeldKey> keys);

  /// Searches each key twice a second until `done`, looked at every half second; false when
  /// `limit` comes first.
  bool watch(const std::function<bool()>& done, Duration limit);

  /// The longest time from the end of a successful search of a key to the end of its next.
  Duration longest_gap() const { return seen_->longest; }
  std::size_t searches() const { return seen_->searches; }
  std::size_t missed() const { return seen_->missed; }

 private:
  /// Shared with the searches that still run, since one whose node ends never tells.
  struct Seen {
    std::vector<TimePoint> last;  ///< when each key was last found
    Duration longest{0};
    std::size_t searches = 0;
    std::size_t missed = 0;
  };

  Simulation& simulation_;
  std::vector<HeldKey> keys_;
  std::shared_ptr<Seen> seen_;
};

}  // namespace hagring::sim
