// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dht/node.hpp"
#include "userspace/agent/admin_server.hpp"

namespace hagring::agent {

/// Asks the mesh who provides `?key=…`, a digest or an image's full name, and answers with all of
/// them and when each was found: what `hagring lookup` shows. `clock` and `node` outlive the page.
Page lookup_page(Clock& clock, dht::Node& node);

}  // namespace hagring::agent
