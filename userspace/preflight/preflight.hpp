// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/agent/config.hpp"
#include "userspace/preflight/check.hpp"

namespace hagring::preflight {

/// Looks whether the agent could do its work on this machine with `config`, in the order of the
/// screen. Changes nothing, but for loading the hook's programs, which nothing is attached to, and
/// binding ports for a moment. Takes some seconds at the most. Needs the agent's own privileges.
Checks run(const agent::Config& config);

/// The kernel, its mounts and this process's rights.
Checks check_host(const agent::Config& config);
/// containerd: socket, version, cgroup, content.
Checks check_runtime(const agent::Config& config);
/// By which way the runtime trusts the node's certificate authority or will, whether that outlasts
/// a restart of the machine, and whether one of the runtime is due.
Checks check_trust(const agent::Config& config);
/// Ports, the mesh's key, and where other nodes are found.
Checks check_network(const agent::Config& config);

}  // namespace hagring::preflight
