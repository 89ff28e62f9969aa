// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/digest.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::containerd {

struct KeptLayer {
  registry::Digest digest;
  std::uint64_t size = 0;  ///< bytes
};

/// An image whose layers a lease of ours keeps.
struct KeptImage {
  std::string lease;  ///< its id
  registry::Digest manifest;
  std::string image;  ///< `docker.io/library/nginx`
  WallTime served{};  ///< when the manifest was last given to this node's client
  std::vector<KeptLayer> layers;
  bool made = false;  ///< containerd has the lease with all its layers
  bool seen = false;  ///< the runtime has had an image with this manifest since
};

/// What is kept, an entry a manifest; of layers that several images share the size counts once.
/// No I/O.
class KeptLayers {
 public:
  /// Puts it in the place of the manifest's former entry, which it returns.
  std::optional<KeptImage> put(KeptImage image);
  std::optional<KeptImage> take(const registry::Digest& manifest);
  void clear();

  /// What a layer, if it is among those kept, really takes.
  void set_size(const registry::Digest& layer, std::uint64_t size);

  /// nullptr when there is none; valid until the next change.
  KeptImage* find(const registry::Digest& manifest);
  /// The one served longest ago; nullptr when there is none.
  const KeptImage* oldest() const;
  std::vector<registry::Digest> manifests() const;

  /// Bytes of all layers.
  std::uint64_t bytes() const { return bytes_; }
  /// How many bytes would be gone with this one alone.
  std::uint64_t bytes_of_its_own(const KeptImage& image) const;
  std::size_t size() const { return images_.size(); }
  /// Of images that the runtime has not been seen to have.
  std::size_t unseen() const;

 private:
  struct Layer {
    std::uint64_t size = 0;
    std::size_t images = 0;
  };
  void count(const KeptImage& image);
  void discount(const KeptImage& image);

  std::unordered_map<registry::Digest, KeptImage> images_;
  std::unordered_map<registry::Digest, Layer> layers_;
  std::uint64_t bytes_ = 0;
};

}  // namespace hagring::containerd
