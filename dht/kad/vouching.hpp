// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unordered_map>

#include "dht/kad/peer.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// Whether what peers name is there. Threat: one that answers, but names made-up peers, would keep
/// searches and checks busy with them; honest peers name somebody dead now and then, but also the
/// living.
class Vouching {
 public:
  /// `namer` named a peer that answers, or that we know.
  void alive(const PeerId& namer) { of(namer).alive = true; }

  /// `namer` named one that doesn't answer; whether that makes it a liar.
  bool dead(const PeerId& namer) {
    Named& named = of(namer);
    return ++named.dead >= kLies && !named.alive;
  }

  bool is_proven(const PeerId& namer) const {
    const auto named = named_.find(namer);
    return named != named_.end() && named->second.alive;
  }

  /// Nothing needs to be known of `peer` any longer: it has left the table.
  void forget(const PeerId& peer) { named_.erase(peer); }

  /// Keeps `liar` out until then.
  void ban(const PeerId& liar, TimePoint until) {
    if (bans_.size() >= kMost) bans_.clear();
    bans_[liar] = until;
  }

  bool is_banned(const PeerId& peer, TimePoint now) {
    const auto ban = bans_.find(peer);
    if (ban == bans_.end()) return false;
    if (ban->second > now) return true;
    bans_.erase(ban);
    return false;
  }

 private:
  struct Named {
    std::size_t dead = 0;
    bool alive = false;
  };

  Named& of(const PeerId& namer) {
    if (named_.size() >= kMost) named_.clear();
    return named_[namer];
  }

  static constexpr std::size_t kLies = 8;
  static constexpr std::size_t kMost = 2000;  ///< of either map; rather all is forgotten than kept

  std::unordered_map<PeerId, Named> named_;
  std::unordered_map<PeerId, TimePoint> bans_;
};

}  // namespace hagring::kad
