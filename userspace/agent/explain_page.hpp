// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/content_store.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"
#include "userspace/agent/pages.hpp"

namespace hagring::agent {

/// Tells how reads of `?reference=…`, an image's name as people write it, are answered: what
/// `hagring explain` shows. All outlive the page.
Page explain_page(const registry::Policy& policy, registry::Privacy& privacy,
                  registry::ContentStore& store);

}  // namespace hagring::agent
