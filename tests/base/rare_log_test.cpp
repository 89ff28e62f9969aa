// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/rare_log.hpp"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

TEST(RareLog, WritesAFewOfAKindThenOneInAWhile) {
  test::ManualClock clock;
  RareLog rare(clock, "test");
  testing::internal::CaptureStderr();
  int written = 0;
  for (int i = 0; i < 1000; ++i) written += rare.line(log::Level::warning, "kind", "a line");
  EXPECT_EQ(written, 5);
  EXPECT_TRUE(rare.line(log::Level::warning, "another kind", "its line"));
  clock.advance(9s);
  EXPECT_FALSE(rare.line(log::Level::warning, "kind", "a line"));
  clock.advance(1s);
  EXPECT_TRUE(rare.line(log::Level::warning, "kind", "a line"));
  EXPECT_FALSE(rare.line(log::Level::warning, "kind", "a line"));
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("test: a line (996 lines of this kind were left out before)"),
            std::string::npos)
      << text;
}

TEST(RareLog, LeavesOutWhatTheLevelDoes) {
  test::ManualClock clock;
  RareLog rare(clock, "test");
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(rare.line(log::Level::debug, "kind", "a line"));
}

}  // namespace
}  // namespace hagring
