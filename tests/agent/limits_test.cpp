// SPDX-License-Identifier: Apache-2.0
// Limits of modules that don't know each other, and that only the agent brings together.
#include <gtest/gtest.h>

#include "registry/origin_check.hpp"
#include "userspace/proxy/session.hpp"

namespace hagring::agent {
namespace {

TEST(Limits, OriginIsFoundUnreachableBeforeASessionStopsWaitingForTheVerdict) {
  EXPECT_LE(registry::OriginCheck::Options().limit + std::chrono::seconds(1),
            proxy::SessionOptions().decision_limit);
}

}  // namespace
}  // namespace hagring::agent
