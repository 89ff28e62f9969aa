// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/rule.hpp"

namespace hagring::redirect {

std::vector<Rule> default_rules() {
  std::vector<Rule> rules;
  for (const std::uint16_t port : {443, 80}) {
    rules.push_back({{asio::ip::address_v4::any(), 0}, port, Rule::Action::redirect});
    rules.push_back({{asio::ip::address_v6::any(), 0}, port, Rule::Action::redirect});
  }
  return rules;
}

}  // namespace hagring::redirect
