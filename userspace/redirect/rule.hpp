// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// A range of addresses.
struct Prefix {
  asio::ip::address address;
  unsigned length = 0;  ///< in bits: at most 32 for IPv4, 128 for IPv6

  bool operator==(const Prefix&) const = default;
};

/// "10.0.0.0/8", "fd00::/8", or one address. Bits behind the length are cleared.
/// Errors: Errc::bad_message.
Result<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);

/// What becomes of connections to some destinations. Of the rules that match one, that with the
/// longest prefix decides; of equally long ones, `leave`. Loopback is left before any rule.
struct Rule {
  enum class Action { leave, redirect };

  static constexpr std::uint16_t kAnyPort = 0;

  Prefix destinations;
  std::uint16_t port = kAnyPort;
  Action action = Action::redirect;

  bool operator==(const Rule&) const = default;
};

/// Ports 443 and 80 of every address, both families.
std::vector<Rule> default_rules();

}  // namespace hagring::redirect
