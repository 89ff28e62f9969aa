// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/rule.hpp"

#include <gtest/gtest.h>

namespace hagring::redirect {
namespace {

std::string round_trip(std::string_view text) {
  const auto prefix = parse_prefix(text);
  return prefix ? to_string(*prefix) : "refused";
}

TEST(Rule, ReadsPrefixes) {
  EXPECT_EQ(round_trip("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.1.2.3/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.1.2.255/25"), "10.1.2.128/25");
  EXPECT_EQ(round_trip("10.0.0.5"), "10.0.0.5/32");
  EXPECT_EQ(round_trip("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(round_trip("2001:db8::ffff/33"), "2001:db8::/33");
  EXPECT_EQ(round_trip("::1"), "::1/128");
  EXPECT_EQ(round_trip("::ffff:10.1.2.3/104"), "10.0.0.0/8");
}

TEST(Rule, RefusesWhatIsNoPrefix) {
  for (const auto* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "::/129", "registry.example", "10.0.0.0/99999999999"}) {
    EXPECT_EQ(round_trip(text), "refused") << text;
  }
}

TEST(Rule, DefaultsAreTheWebPortsOfBothFamilies) {
  const auto rules = default_rules();
  ASSERT_EQ(rules.size(), 4U);
  for (const auto& rule : rules) {
    EXPECT_EQ(rule.destinations.length, 0U);
    EXPECT_EQ(rule.action, Rule::Action::redirect);
  }
}

}  // namespace
}  // namespace hagring::redirect
