// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "registry/herd/party.hpp"

namespace hagring::herd {

/// While a client of this node gets one layer of an image, the node takes part in the herds of the
/// image's other layers, too, without asking the origin for any: runtimes take few layers at a
/// time, not all the same ones, and what one node alone fetches takes the origin's link from all
/// that could stream it meanwhile. What comes waits in the spool for the client. Goes on beside the
/// request, on `parts`' thread, until `party` has no client any more.
void go_ahead(registry::MirrorParts& parts, const std::shared_ptr<Party>& party);

}  // namespace hagring::herd
