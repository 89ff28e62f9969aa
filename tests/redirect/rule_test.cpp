// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/rule.hpp"

#include <gtest/gtest.h>

namespace hagring::redirect {
namespace {

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
