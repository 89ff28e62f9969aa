// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "registry/digest.hpp"

namespace hagring::registry {

/// Sizes of content, learned from manifests whose own digest was right: what a manifest says of its
/// config and layers is as certain as it is itself. A peer that states another size is a liar, and
/// is found out before it has sent a byte. Any thread may use it.
class KnownSizes {
 public:
  explicit KnownSizes(std::size_t capacity = 16UL * 1024) : capacity_(capacity) {}

  /// Takes the sizes out of a manifest that is verified; other content is passed over.
  void learn(const Digest& digest, std::string_view manifest);
  /// Whether the manifest has been learned from lately.
  bool has_learned_from(const Digest& digest) const;
  std::optional<std::uint64_t> of(const Digest& digest) const;
  /// The layers, `layer` among them, of the image that was last learned of with it; empty: none of
  /// late.
  std::vector<Digest> layers_with(const Digest& layer) const;

 private:
  struct Known {
    std::optional<std::uint64_t> size;  ///< nullopt: of a manifest that nobody has named
    bool learned_from = false;
    std::list<Digest>::iterator place;
  };
  Known& touch(const Digest& digest);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::list<Digest> order_;  ///< the oldest first
  std::unordered_map<Digest, Known> sizes_;
  std::list<std::vector<Digest>> images_;  ///< layers, the latest image first
};

}  // namespace hagring::registry
