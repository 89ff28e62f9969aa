// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "userspace/agent/config.hpp"

namespace hagring::preflight {

/// What the agent that runs here says of the runtime.
struct RunningAgent {
  bool has_client = false;  ///< it has found a runtime
  bool trusted = false;     ///< which has proven that it trusts the CA
  std::string reason{};     ///< by which way, or why not
  std::string restart{};    ///< of a restart that is due; empty: none is
};

/// nullopt: none runs here, or it doesn't answer. Some seconds at the most.
std::optional<RunningAgent> ask_agent(const agent::Config& config);

}  // namespace hagring::preflight
