// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// `address`, an IPv4-mapped one as the IPv4 address that it stands for.
asio::ip::address unmapped(const asio::ip::address& address);

/// What counts as one source of connections: an IPv4 address, or the /64 that whoever has an IPv6
/// address has all of.
asio::ip::address source_of(const asio::ip::address& address);

/// A range of addresses.
struct Prefix {
  asio::ip::address address;
  unsigned length = 0;  ///< in bits: at most 32 for IPv4, 128 for IPv6

  bool operator==(const Prefix&) const = default;

  /// Whether `candidate`, which is not IPv4-mapped, lies within.
  bool contains(const asio::ip::address& candidate) const;
  /// Whether all of this lies within `other`.
  bool within(const Prefix& other) const {
    return length >= other.length && other.contains(address);
  }
};

/// The range of `length` bits that `address` lies in: what is behind the length is cleared.
Prefix prefix_of(const asio::ip::address& address, unsigned length);

/// "10.0.0.0/8", "fd00::/8", or one address. Bits behind the length are cleared.
/// Errors: Errc::bad_message.
Result<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);

}  // namespace hagring
