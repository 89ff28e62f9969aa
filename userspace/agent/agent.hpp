// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "registry/reference.hpp"
#include "userspace/agent/config.hpp"

namespace hagring::agent {

/// Throws StartError naming the setting, for values that make no sense of themselves or together:
/// what can be said without looking at the machine.
void check(const Config& config);

/// How an agent with this configuration answers reads of an image, as JSON (explanation.hpp).
/// Throws StartError.
std::string explain(const Config& config, const registry::Reference& reference);

/// Runs the agent until SIGTERM or SIGINT and returns the exit code. Throws StartError when it
/// can't be started; then nothing stays behind.
int run(const LoadedConfig& loaded);

}  // namespace hagring::agent
