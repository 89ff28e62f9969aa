// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/lookup_budget.hpp"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;

std::size_t take_all(LookupBudget& budget) {
  std::size_t taken = 0;
  while (taken < 1000 && budget.take()) ++taken;
  return taken;
}

TEST(LookupBudget, ABurstAndThenSoManyASecond) {
  hagring::test::ManualClock clock;
  LookupBudget budget(clock, 200);
  EXPECT_EQ(take_all(budget), 200U);
  clock.advance(100ms);
  EXPECT_EQ(take_all(budget), 20U);
  clock.advance(1h);
  EXPECT_EQ(take_all(budget), 200U);
}

TEST(LookupBudget, FrequentQuestionsDoNotStopTheRefill) {
  hagring::test::ManualClock clock;
  LookupBudget budget(clock, 200);
  take_all(budget);
  std::size_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    clock.advance(1ms);
    if (budget.take()) ++taken;
  }
  EXPECT_EQ(taken, 200U);
}

}  // namespace
}  // namespace hagring::containerd
