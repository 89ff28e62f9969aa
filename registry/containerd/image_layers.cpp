// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/image_layers.hpp"

#include <unordered_set>

#include "registry/manifest.hpp"

namespace hagring::containerd {

bool is_layer_type(std::string_view media_type) {
  return media_type.starts_with("application/vnd.oci.image.layer.v1.") ||
         media_type.starts_with("application/vnd.docker.image.rootfs.diff.");
}

std::optional<ImageLayers> layers_of(std::string image, registry::Digest digest,
                                     std::string_view manifest) {
  auto parsed = registry::parse_manifest(as_bytes(manifest));
  if (!parsed || parsed->kind != registry::Manifest::Kind::image) return std::nullopt;
  ImageLayers found{.manifest = std::move(digest), .image = std::move(image), .layers = {}};
  // A manifest may name a layer twice.
  std::unordered_set<registry::Digest> named;
  for (auto& child : parsed->children) {
    if (is_layer_type(child.media_type) && named.insert(child.digest).second) {
      found.layers.push_back(std::move(child));
    }
  }
  if (found.layers.empty()) return std::nullopt;
  return found;
}

}  // namespace hagring::containerd
