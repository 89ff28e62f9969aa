// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "registry/reference.hpp"

namespace hagring::cli {

struct ExplainOptions {
  bool json = false;
  std::string socket = "/run/hagring/hagring.sock";
  std::string what;  ///< an image's name as people write it
  /// Decides without an agent, by a configuration that was given; empty: the agent is asked.
  std::function<std::string(const registry::Reference&)> decide{};
};

/// Prints how pulls of an image are answered, and which rule or default decided it. Returns the
/// exit code: 0, 1 when it isn't mirrored, 2 for what is no image's name, 3 when no agent answers.
int explain(const ExplainOptions& options);

/// The agent's answer as text for people. Throws std::exception for a document that isn't one.
std::string render_explanation(const std::string& json);

}  // namespace hagring::cli
