// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "registry/policy.hpp"
#include "registry/privacy.hpp"

namespace hagring::agent {

/// How reads of an image are answered, and what decided it, as JSON: what `hagring explain` shows.
/// `privacy` is what a running agent knows; null: there is none. `held` is the content that its
/// node has of the image.
std::string explain(const registry::Policy& policy, const registry::Reference& reference,
                    registry::Privacy* privacy,
                    const std::optional<registry::Digest>& held = std::nullopt);

}  // namespace hagring::agent
