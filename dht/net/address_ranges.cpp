// SPDX-License-Identifier: Apache-2.0
#include "dht/net/address_ranges.hpp"

#include <algorithm>
#include <cstddef>

namespace hagring::dht {
namespace {

bool any_contains(const std::vector<Prefix>& prefixes, const asio::ip::address& address) {
  return std::ranges::any_of(prefixes,
                             [&](const auto& prefix) { return prefix.contains(address); });
}

/// `prefix` of IPv4 as a NAT64 gateway reaches it (RFC 6052, the well-known prefix 64:ff9b::/96).
Prefix behind_nat64(const Prefix& prefix) {
  asio::ip::address_v6::bytes_type bytes{0x00, 0x64, 0xff, 0x9b};
  const auto plain = prefix.address.to_v4().to_bytes();
  std::copy(plain.begin(), plain.end(), bytes.end() - static_cast<std::ptrdiff_t>(plain.size()));
  return {asio::ip::address_v6(bytes), 96 + prefix.length};
}

/// What names no other host (RFC 6890). ::/96 holds ::, ::1 and the former IPv4-compatible
/// addresses; of IPv4-mapped ones the IPv4 address counts.
const std::vector<Prefix>& exceptions() {
  static const auto all = [] {
    std::vector<Prefix> made;
    for (const auto* text : {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                             "255.255.255.255/32", "::/96", "fe80::/10", "ff00::/8"}) {
      made.push_back(*parse_prefix(text));
      if (made.back().address.is_v4()) made.push_back(behind_nat64(made.back()));
    }
    return made;
  }();
  return all;
}

bool is_exception(const Prefix& prefix) {
  return std::ranges::any_of(exceptions(),
                             [&](const auto& exception) { return prefix.within(exception); });
}

}  // namespace

AddressRanges AddressRanges::ordinary() {
  AddressRanges ranges;
  ranges.named_ = {{asio::ip::address_v4::any(), 0}, {asio::ip::address_v6::any(), 0}};
  return ranges;
}

Result<AddressRanges> AddressRanges::parse(const std::vector<std::string>& texts) {
  AddressRanges ranges;
  for (const auto& text : texts) {
    TRY(auto prefix, parse_prefix(text));
    auto& list = is_exception(prefix) ? ranges.named_exceptions_ : ranges.named_;
    list.push_back(std::move(prefix));
  }
  return ranges;
}

bool AddressRanges::contains(const asio::ip::address& address) const {
  const auto plain = unmapped(address);
  if (any_contains(named_exceptions_, plain)) return true;
  return any_contains(named_, plain) && !any_contains(exceptions(), plain);
}

}  // namespace hagring::dht
