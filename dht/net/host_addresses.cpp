// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "dht/net/address_ranges.hpp"
#include "dht/net/host_state.hpp"
#include "dht/net/local_addresses.hpp"

namespace hagring::dht {

/// Where others reach us: what was configured; else the local ends of connections; else our
/// interfaces (a container bridge's address is the same on every node, so it is told only as long
/// as nothing better is known).
std::vector<asio::ip::address> Host::State::reachable() const {
  if (!options.advertised.empty()) return options.advertised;
  const auto listen = endpoint.address();
  if (!listen.is_unspecified()) return {listen};
  // Those that we dial from come first: a member on this very machine may have come by a bridge.
  auto addresses = local_ends(Connection::Direction::outbound);
  for (auto& address : local_ends(Connection::Direction::inbound)) {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  }
  if (!addresses.empty()) return addresses;
  addresses = interface_addresses();
  if (listen.is_v4()) std::erase_if(addresses, [](const auto& address) { return address.is_v6(); });
  return addresses;
}

/// Our side's addresses of the connections made in this direction, in a lasting order.
std::vector<asio::ip::address> Host::State::local_ends(Connection::Direction direction) const {
  const auto ordinary = AddressRanges::ordinary();
  std::set<asio::ip::address> used;
  for (const auto& entry : table.all()) {
    const auto local = entry->ends().local.address();
    if (entry->direction() == direction && entry->healthy() && ordinary.contains(local)) {
      used.insert(local);
    }
  }
  return {used.begin(), used.end()};
}

std::vector<Multiaddr> Host::State::addresses_for(const Connection* connection) const {
  if (endpoint.port() == 0) return {};  // not listening
  auto addresses = reachable();
  std::vector<Multiaddr> named;
  if (connection && options.advertised.empty() && endpoint.address().is_unspecified()) {
    const auto local = connection->ends().local.address();
    const bool is_named = std::ranges::find(addresses, local) != addresses.end();
    if (!is_named && AddressRanges::ordinary().contains(local)) addresses.push_back(local);
  }
  for (const auto& address : addresses) {
    named.push_back(Multiaddr::of({address, endpoint.port()}));
  }
  return named;
}

bool Host::State::may_dial(const tcp::endpoint& address) const {
  if (address.port() == 0) return false;
  if (options.may_dial) return options.may_dial(address.address());
  return AddressRanges::ordinary().contains(address.address());
}

}  // namespace hagring::dht
