// SPDX-License-Identifier: Apache-2.0
#include "registry/known_sizes.hpp"

#include "registry/manifest.hpp"

namespace hagring::registry {

void KnownSizes::learn(std::string_view manifest) {
  const auto parsed = parse_manifest(as_bytes(manifest));
  if (!parsed) return;
  const std::lock_guard lock(mutex_);
  for (const auto& child : parsed->children) {
    if (const auto known = sizes_.find(child.digest); known != sizes_.end()) {
      known->second.size = child.size;
      order_.splice(order_.end(), order_, known->second.place);
      continue;
    }
    if (sizes_.size() == capacity_) {
      sizes_.erase(order_.front());
      order_.pop_front();
    }
    const auto place = order_.insert(order_.end(), child.digest);
    sizes_.emplace(child.digest, Known{child.size, place});
  }
}

std::optional<std::uint64_t> KnownSizes::of(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = sizes_.find(digest);
  return known == sizes_.end() ? std::nullopt : std::optional(known->second.size);
}

}  // namespace hagring::registry
