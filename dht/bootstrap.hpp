// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dht/multiformats/multiaddr.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::dht {

/// How a node finds its first peers. All sources are asked at once.
struct BootstrapOptions {
  /// Names whose A and AAAA records are peers (a headless Service), each at `port`.
  std::vector<std::string> dns;
  /// `/ip4|ip6|dns|dns4|dns6/…/tcp/…`, with or without /p2p.
  std::vector<Multiaddr> peers;
  /// `http://host[:port]/path` that answers `[{"ID": "…", "Addrs": ["…"]}]`, as Spegel's /id does.
  std::vector<std::string> http;
  std::uint16_t port = 5001;  ///< of the peers that DNS names
};

}  // namespace hagring::dht
