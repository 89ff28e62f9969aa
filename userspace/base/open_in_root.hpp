// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "userspace/base/unique_fd.hpp"

namespace hagring {

/// Opens `path` below `root` as if `root` were "/": absolute links in it stay below (openat2(2),
/// RESOLVE_IN_ROOT), which must not lead from the host's file system into the agent's own
/// container. `flags` are open(2)'s; O_CLOEXEC is added. Empty, with errno, when that fails.
UniqueFd open_in_root(const std::filesystem::path& root, const std::filesystem::path& path,
                      int flags);

}  // namespace hagring
