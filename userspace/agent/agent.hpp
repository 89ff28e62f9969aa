// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/agent/config.hpp"

namespace hagring::agent {

/// Runs the agent until SIGTERM or SIGINT and returns the exit code. Throws StartError when it
/// can't be started; then nothing stays behind.
int run(const LoadedConfig& loaded);

}  // namespace hagring::agent
