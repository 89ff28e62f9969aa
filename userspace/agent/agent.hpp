// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/agent/config.hpp"

namespace hagring::agent {

/// Throws StartError naming the setting, for values that make no sense of themselves or together:
/// what can be said without looking at the machine.
void check(const Config& config);

/// Runs the agent until SIGTERM or SIGINT and returns the exit code. Throws StartError when it
/// can't be started; then nothing stays behind.
int run(const LoadedConfig& loaded);

}  // namespace hagring::agent
