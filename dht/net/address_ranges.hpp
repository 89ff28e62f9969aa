// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "userspace/base/address.hpp"

namespace hagring::dht {

/// The addresses that a peer's claim may make us connect to. Threat: a peer that names our own
/// loopback, or a machine outside the mesh, would have us knock there.
class AddressRanges {
 public:
  /// Every address but unspecified, loopback, link-local, multicast and broadcast ones, in IPv6's
  /// forms of them too.
  static AddressRanges ordinary();
  /// The ranges of `texts` ("10.0.0.0/8", "fd00::/8", single addresses) and nothing else. What
  /// ordinary() leaves out stays out, unless a range that lies within it is named ("127.0.0.1").
  /// Errors: Errc::bad_message; an empty list allows nothing.
  static Result<AddressRanges> parse(const std::vector<std::string>& texts);

  bool contains(const asio::ip::address& address) const;

 private:
  std::vector<Prefix> named_;
  std::vector<Prefix> named_exceptions_;  ///< those that lie within an exception, apart
};

}  // namespace hagring::dht
