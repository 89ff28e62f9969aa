// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hagring::cli {

struct LogLevelOptions {
  std::string level;  ///< empty: only ask
  bool json = false;
  std::string socket = "/run/hagring/hagring.sock";
};

/// Asks the agent what it logs, or tells it, and prints the level that then counts. Returns the
/// exit code: 0, 1 when the answer makes no sense, 2 for what is no level, 3 when no agent answers.
int log_level(const LogLevelOptions& options);

}  // namespace hagring::cli
