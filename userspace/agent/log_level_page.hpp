// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "userspace/agent/pages.hpp"

namespace hagring::agent {

/// What is logged now: `{"level":"info"}`.
PageAnswer log_level_now();

/// Logs from now on what the query `level=NAME` says, until the agent ends; 400 for what is no
/// level.
PageAnswer set_log_level(std::string_view query);

}  // namespace hagring::agent
