// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unordered_map>
#include <vector>

#include "dht/kad/peer.hpp"

namespace hagring::kad {

/// In which order a search hands on the providers that peers name. Threat: one peer names many that
/// aren't there, or those that are at addresses where they aren't; whoever searches tries the first
/// few only. So each peer has a few handed on at once, the rest when nobody names any more.
class ProviderChoice {
 public:
  explicit ProviderChoice(const PeerId& self) : self_(self) {}

  /// Takes what one peer named, in its order; returns those to hand on now: a few that nobody has
  /// named before, or at addresses that nobody has named for them, those first that others named
  /// too.
  std::vector<PeerInfo> take(const std::vector<PeerInfo>& reply);

  /// All that have not been handed on: those first that most peers named, then each peer's in turn.
  std::vector<PeerInfo> rest();

 private:
  /// A provider, at addresses that one peer was the first to name.
  struct Named {
    PeerInfo info;
    int times = 1;         ///< peers that named it there
    std::size_t turn = 0;  ///< its place among those that a peer named and that had to wait
    bool handed = false;
  };

  void note(const PeerInfo& provider, std::vector<std::size_t>& waiting);
  PeerInfo hand(std::size_t index);

  PeerId self_;
  std::vector<Named> named_;
  std::unordered_map<PeerId, std::vector<std::size_t>> places_;  ///< in named_
};

}  // namespace hagring::kad
