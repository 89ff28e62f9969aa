// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/content_store.hpp"

namespace hagring::containerd {

/// An image's layers, as its manifest names them.
struct ImageLayers {
  registry::Digest manifest;
  std::string image;  ///< `docker.io/library/nginx`, for people
  std::vector<registry::Descriptor> layers;
};

/// Whether containerd takes content of this type for a layer, which it throws away once it is
/// unpacked (core/images/mediatypes.go, IsLayerType). Foreign layers come from elsewhere than
/// registries, and aren't meant.
bool is_layer_type(std::string_view media_type);

/// The layers of a manifest that containerd would throw away; nullopt when it has none (an index,
/// an artifact, what is no manifest).
std::optional<ImageLayers> layers_of(std::string image, registry::Digest digest,
                                     std::string_view manifest);

}  // namespace hagring::containerd
