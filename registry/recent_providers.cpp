// SPDX-License-Identifier: Apache-2.0
#include "registry/recent_providers.hpp"

namespace hagring::registry {

std::optional<Peer> RecentProviders::of(const Digest& digest) {
  const auto* sent = peers_.find(digest);
  if (sent == nullptr) return std::nullopt;
  if (clock_.now() - sent->at < options_.keep) return sent->peer;
  peers_.erase(digest);
  return std::nullopt;
}

void RecentProviders::sends(const Digest& digest, Peer peer) {
  peers_.touch(digest) = {std::move(peer), clock_.now()};
}

void RecentProviders::fails(const Digest& digest, const std::string& peer) {
  const auto* sent = peers_.find(digest);
  if (sent != nullptr && sent->peer.key() == peer) peers_.erase(digest);
}

}  // namespace hagring::registry
