// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace hagring {

/// kube-apiserver's default --service-node-port-range. Cilium takes what is sent to such a port of
/// loopback for a service's (sock4_wildcard_lookup in its bpf_sock.c): nothing that the hook
/// redirects to may listen there.
inline constexpr std::uint16_t kFirstNodePort = 30000;
inline constexpr std::uint16_t kLastNodePort = 32767;

inline bool is_node_port(std::uint16_t port) {
  return port >= kFirstNodePort && port <= kLastNodePort;
}

/// More than so many ephemeral ports in a row within that range: net.ipv4.ip_local_port_range is
/// set to lie in it.
inline constexpr int kNodePortAttempts = 64;

}  // namespace hagring
