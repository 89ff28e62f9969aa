// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/content_store.hpp"
#include "registry/known_sizes.hpp"

namespace hagring::registry {

/// Learns what the manifest `top`, and those that it names, tell of sizes, as far as they are in
/// this node's store: the runtime doesn't ask for a manifest that it has, so that it would not pass
/// by. Each is read once.
awaitable<void> learn_from_store(ContentStore& store, KnownSizes& sizes, Digest top);

}  // namespace hagring::registry
