// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "userspace/base/result.hpp"

namespace hagring::containerd {

/// A containerd socket that exists.
struct FoundSocket {
  std::string path;     ///< as this process reaches it, host_root included
  std::string flavour;  ///< whose it is, for people: `containerd`, `K3s or RKE2`, `K0s`, `MicroK8s`
};

/// Looks where containerd and the distributions that bring their own listen, below `host_root`
/// (empty: this process's own root). The order is that of preference: a distribution's own
/// containerd before a stand-alone one, which beside it is usually Docker's.
std::vector<FoundSocket> find_sockets(const std::string& host_root = {});

/// The places that find_sockets looks at, in its order, for messages.
std::string searched_sockets();

/// The process that listens on the Unix socket `path` (SO_PEERCRED names who called listen(2));
/// 0 when it is not in this process's pid namespace. Errors: the system's.
Result<pid_t> listener_of(const std::string& path);

}  // namespace hagring::containerd
