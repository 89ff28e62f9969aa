// SPDX-License-Identifier: Apache-2.0
#include "dht/net/address_ranges.hpp"

#include <algorithm>

namespace hagring::dht {
namespace {

bool any_contains(const std::vector<Prefix>& prefixes, const asio::ip::address& address) {
  return std::ranges::any_of(prefixes,
                             [&](const auto& prefix) { return prefix.contains(address); });
}

}  // namespace

AddressRanges AddressRanges::ordinary() {
  AddressRanges ranges;
  ranges.named_ = {{asio::ip::address_v4::any(), 0}, {asio::ip::address_v6::any(), 0}};
  // RFC 6890. ::/96 holds ::, ::1 and the former IPv4-compatible addresses.
  for (const auto* text : {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                           "255.255.255.255/32", "::/96", "fe80::/10", "ff00::/8"}) {
    ranges.exceptions_.push_back(*parse_prefix(text));
  }
  return ranges;
}

Result<AddressRanges> AddressRanges::parse(const std::vector<std::string>& texts) {
  AddressRanges ranges;
  for (const auto& text : texts) {
    TRY(auto prefix, parse_prefix(text));
    ranges.named_.push_back(std::move(prefix));
  }
  return ranges;
}

bool AddressRanges::contains(const asio::ip::address& address) const {
  const auto plain = unmapped(address);
  return any_contains(named_, plain) && !any_contains(exceptions_, plain);
}

}  // namespace hagring::dht
