// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/agent/config.hpp"

namespace hagring::cli {

struct TrustOptions {
  bool json = false;
  std::string socket = "/run/hagring/hagring.sock";  ///< of the agent, should one run
};

/// What `hagring trust` can do without an agent; each returns the exit code. Settings are the
/// agent's, so that both mean the same files. All throw StartError for what the configuration or
/// the CA's files have wrong.

/// Makes the node's CA unless there is one, and puts it where containerd reads certificates.
/// 0, or 1 when that place can't be written to (the message says what it means).
int install_trust(const agent::Config& config);

/// Takes it away from there, with the links that the host's tools have made to it; the CA itself
/// stays in the state directory. 0, or 1 as install_trust.
int remove_trust(const agent::Config& config);

/// Says where the CA is, until when it is valid, and which containerd can know it. 0 when it is
/// installed and no containerd is without it, else 1.
int show_trust(const agent::Config& config, const TrustOptions& options);

/// The status document, JSON, as text for people.
std::string render_trust(const std::string& json);

}  // namespace hagring::cli
