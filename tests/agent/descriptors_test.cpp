// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/descriptors.hpp"

#include <gtest/gtest.h>

namespace hagring::agent {
namespace {

constexpr Capacity kLimits{.clients = 4096, .peers = 1024};

TEST(Descriptors, AreNeverMoreThanAreSet) {
  const auto capacity = capacity_for(1 << 20, kLimits);
  EXPECT_EQ(capacity.clients, kLimits.clients);
  EXPECT_EQ(capacity.peers, kLimits.peers);
}

TEST(Descriptors, SufficeForAllConnectionsAtOnce) {
  for (std::uint64_t limit = kFewestDescriptors; limit < 100'000; limit += 997) {
    const auto capacity = capacity_for(limit, kLimits);
    EXPECT_GE(capacity.clients, 16U) << limit;
    EXPECT_LE(2 * 8 * capacity.clients + 2 * capacity.peers, limit - 192) << limit;
  }
}

TEST(Descriptors, NoneAreLeftWhereThereAreFew) {
  EXPECT_EQ(capacity_for(64, kLimits).clients, 0U);
  EXPECT_EQ(capacity_for(0, kLimits).peers, 0U);
}

}  // namespace
}  // namespace hagring::agent
