// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/idle_trim.hpp"

#include <gtest/gtest.h>

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

TEST(IdleTrim, IsDueOnceAfterEachBusyTime) {
  IdleTrim trim;
  EXPECT_FALSE(trim.is_due(900ms)) << "the start";
  EXPECT_TRUE(trim.is_due(930ms));
  EXPECT_FALSE(trim.is_due(960ms)) << "nothing has been taken since";
  EXPECT_FALSE(trim.is_due(1960ms));
  EXPECT_FALSE(trim.is_due(3s)) << "still busy";
  EXPECT_TRUE(trim.is_due(3s + 199ms));
  EXPECT_FALSE(trim.is_due(3s + 398ms));
}

TEST(IdleTrim, IsDueAfterAStartThatTookNothing) {
  IdleTrim trim;
  EXPECT_TRUE(trim.is_due(100ms));
}

}  // namespace
}  // namespace hagring::agent
