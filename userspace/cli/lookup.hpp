// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hagring::cli {

struct LookupOptions {
  bool json = false;
  std::string socket = "/run/hagring/hagring.sock";
  std::string what;  ///< a digest, or an image's name as people write it
};

/// Has the agent ask the mesh who has some content, and prints them with when each was found.
/// Returns the exit code: 0, 1 when nobody has it, 2 for what is neither digest nor name, 3 when no
/// agent answers.
int look_up(const LookupOptions& options);

/// The agent's answer as text for people. Throws std::exception for a document that isn't one.
std::string render_lookup(const std::string& json);

}  // namespace hagring::cli
