// SPDX-License-Identifier: Apache-2.0
#include "registry/known_sizes.hpp"

#include "registry/manifest.hpp"

namespace hagring::registry {

void KnownSizes::learn(const Digest& digest, std::string_view manifest) {
  const auto parsed = parse_manifest(as_bytes(manifest));
  if (!parsed) return;
  const std::lock_guard lock(mutex_);
  touch(digest).learned_from = true;
  for (const auto& child : parsed->children) touch(child.digest).size = child.size;
}

/// The entry of `digest`, now the newest; the oldest makes room for it.
KnownSizes::Known& KnownSizes::touch(const Digest& digest) {
  if (const auto known = sizes_.find(digest); known != sizes_.end()) {
    order_.splice(order_.end(), order_, known->second.place);
    return known->second;
  }
  if (sizes_.size() == capacity_) {
    sizes_.erase(order_.front());
    order_.pop_front();
  }
  const auto place = order_.insert(order_.end(), digest);
  return sizes_.emplace(digest, Known{.size = {}, .place = place}).first->second;
}

bool KnownSizes::has_learned_from(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = sizes_.find(digest);
  return known != sizes_.end() && known->second.learned_from;
}

std::optional<std::uint64_t> KnownSizes::of(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = sizes_.find(digest);
  return known == sizes_.end() ? std::nullopt : known->second.size;
}

}  // namespace hagring::registry
