// SPDX-License-Identifier: Apache-2.0
#include "dht/net/local_addresses.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "dht/net/address_ranges.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxAddresses = 16;

std::optional<asio::ip::address> address_of(const sockaddr* from) {
  if (from && from->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, from, sizeof(in));
    return asio::ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  if (from && from->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, from, sizeof(in));
    asio::ip::address_v6::bytes_type bytes;
    std::copy(std::begin(in.sin6_addr.s6_addr), std::end(in.sin6_addr.s6_addr), bytes.begin());
    return asio::ip::address_v6(bytes);
  }
  return std::nullopt;
}

}  // namespace

std::vector<asio::ip::address> interface_addresses() {
  std::vector<asio::ip::address> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  const auto ordinary = AddressRanges::ordinary();
  for (const auto* entry = list; entry && addresses.size() < kMaxAddresses;
       entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const auto address = address_of(entry->ifa_addr);
    if (!address || !ordinary.contains(*address)) continue;
    if (std::ranges::find(addresses, *address) == addresses.end()) addresses.push_back(*address);
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace hagring::dht
