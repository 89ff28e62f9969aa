// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "userspace/agent/config.hpp"

namespace hagring::agent {

/// What a step has removed, or would.
struct Removal {
  std::vector<std::string> removed{};  ///< paths, leases
  std::string note{};                  ///< what was left on purpose, and why
  std::string failure{};               ///< why something couldn't be removed, and what to do
};

/// One kind of thing that an agent leaves on a node.
struct UninstallStep {
  std::string what;
  std::function<Removal(bool dry_run)> remove;
};

/// All kinds, for `config`, which outlives them, in the order in which they should go: the
/// authority's key first, since containerd trusts it until it is restarted.
std::vector<UninstallStep> uninstall_steps(const Config& config);

/// Takes all steps, also after one that failed, and says of each what it removed. Nothing that was
/// there is no failure, so it can be run again. Returns the exit code: 0, or 1 when a step failed.
/// Throws StartError while the agent runs, or for want of privileges to find that out.
int uninstall(const Config& config, bool dry_run, std::ostream& out);

}  // namespace hagring::agent
