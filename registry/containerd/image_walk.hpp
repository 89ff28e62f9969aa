// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "registry/containerd/client.hpp"
#include "registry/containerd/content_index.hpp"

namespace hagring::containerd {

/// Adds to `index` what is there of an image: its target and, by way of the manifests, what they
/// name. containerd before 2.1 doesn't make a pull's content known by events, and an index names
/// platforms that a node never fetches. Parts that are missing, or can't be read as manifests, are
/// passed over. Errors: those that say that containerd doesn't answer.
awaitable<RpcResult<void>> walk_image(std::shared_ptr<Client> client, ContentIndex& index,
                                      registry::Descriptor target);

}  // namespace hagring::containerd
