// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "userspace/base/address.hpp"

namespace hagring::redirect {

/// What becomes of connections to some destinations. Of the rules that match one, that with the
/// longest prefix decides; of equally long ones, `leave`. Loopback is left, but for a rule that
/// redirects one address and port.
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
