// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// The whole of a small file of the proc or cgroup file system.
/// Errors: the system's; Errc::too_large over 16 MiB.
Result<std::string> read_proc_file(const std::string& path);

}  // namespace hagring::redirect
