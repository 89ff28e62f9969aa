// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "registry/containerd/leases.hpp"

namespace hagring::containerd {

/// Removes all leases of ours, of whichever agent, and has containerd collect what only they kept;
/// returns their ids. A `dry_run` removes nothing. Errors: the first call's that failed; what was
/// removed before stays so.
awaitable<RpcResult<std::vector<std::string>>> remove_our_leases(LeasesApi& leases, bool dry_run);

/// The same at the containerd that listens on `socket`, as a call of its own that blocks.
RpcResult<std::vector<std::string>> remove_our_leases(const std::string& socket,
                                                      const std::string& name_space, bool dry_run);

}  // namespace hagring::containerd
