// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hagring::cli {

struct StatusOptions {
  bool json = false;
  std::string socket = "/run/hagring/hagring.sock";
};

/// Asks the agent for its status and prints it. Returns the exit code: 0, 1 when the answer makes
/// no sense, 3 when no agent answers (the message on standard error says what to check).
int show_status(const StatusOptions& options);

/// The status document as text for people. Throws std::exception for a document that isn't one.
std::string render_status(const std::string& json);

}  // namespace hagring::cli
