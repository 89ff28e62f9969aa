// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/idle_trim.hpp"

#include <gtest/gtest.h>

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

TEST(IdleTrim, IsDueInAQuietTimeAfterEachBusyOne) {
  IdleTrim trim;
  EXPECT_FALSE(trim.is_due(900ms)) << "the start";
  EXPECT_TRUE(trim.is_due(930ms));
  EXPECT_FALSE(trim.is_due(950ms)) << "next to nothing has been done since";
  EXPECT_FALSE(trim.is_due(1960ms));
  EXPECT_FALSE(trim.is_due(3s)) << "still busy";
  EXPECT_TRUE(trim.is_due(3s + 199ms));
  EXPECT_FALSE(trim.is_due(3s + 219ms));
}

TEST(IdleTrim, IsDueWhenManyQuietIntervalsHaveDoneMuch) {
  IdleTrim trim;
  ASSERT_TRUE(trim.is_due(30ms));
  EXPECT_FALSE(trim.is_due(40ms));
  EXPECT_FALSE(trim.is_due(50ms));
  EXPECT_TRUE(trim.is_due(60ms));
  EXPECT_FALSE(trim.is_due(70ms));
}

TEST(IdleTrim, IsDueAfterAStartThatTookNothing) {
  IdleTrim trim;
  EXPECT_TRUE(trim.is_due(100ms));
}

}  // namespace
}  // namespace hagring::agent
