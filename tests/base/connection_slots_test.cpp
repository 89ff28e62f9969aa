// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/connection_slots.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hagring {
namespace {

using boost::asio::ip::make_address;

struct Slots : testing::Test {
  const boost::asio::ip::address one = make_address("192.0.2.1");
  const boost::asio::ip::address two = make_address("192.0.2.2");
  std::vector<std::uint64_t> displaced;
  ConnectionSlots slots{4, 2};

  std::optional<ConnectionSlots::Slot> on_trial(const boost::asio::ip::address& address) {
    return slots.take(address, [this](std::uint64_t id) { displaced.push_back(id); });
  }
};

TEST_F(Slots, AreLimitedInAllAndByAddress) {
  auto first = slots.take(one);
  auto second = slots.take(make_address("::ffff:192.0.2.1"));
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(slots.take(one));
  auto third = slots.take(two), fourth = slots.take(two);
  EXPECT_TRUE(third && fourth);
  EXPECT_FALSE(slots.take(make_address("192.0.2.3")));
  EXPECT_EQ(slots.taken(), 4U);
  first.reset();
  EXPECT_EQ(slots.taken(), 3U);
  EXPECT_TRUE(slots.take(one));
  EXPECT_TRUE(displaced.empty());
}

TEST_F(Slots, TheOldestOnTrialOfTheSameAddressGivesWay) {
  auto other = on_trial(two);
  auto oldest = on_trial(one);
  auto next = on_trial(one);
  auto newcomer = on_trial(one);
  ASSERT_TRUE(other && oldest && next && newcomer);
  EXPECT_EQ(displaced, std::vector{oldest->id()});
  EXPECT_EQ(slots.taken(), 3U);
  EXPECT_FALSE(oldest->settle());
  oldest.reset();  // its place is another's
  EXPECT_EQ(slots.taken(), 3U);
  EXPECT_TRUE(next->settle() && newcomer->settle() && other->settle());
  EXPECT_FALSE(on_trial(one));
  EXPECT_EQ(displaced.size(), 1U);
}

TEST_F(Slots, WhereAllPlacesAreTakenTheOldestOnTrialOfAnyAddressGivesWay) {
  auto settled = on_trial(one);
  ASSERT_TRUE(settled->settle());
  auto oldest = on_trial(two);
  auto second = on_trial(two);
  auto third = on_trial(one);
  auto newcomer = slots.take(make_address("192.0.2.3"));
  ASSERT_TRUE(newcomer);
  EXPECT_EQ(displaced, std::vector{oldest->id()});
  EXPECT_EQ(slots.taken(), 4U);
  settled.reset();
  second.reset();
  third.reset();
  newcomer.reset();
  EXPECT_EQ(slots.taken(), 0U);
}

TEST_F(Slots, OfTrialsTheOldestOfAnyAddressGivesWay) {
  ConnectionSlots few(8, 8, 2);
  const auto on_displaced = [this](std::uint64_t id) { displaced.push_back(id); };
  auto settled = few.take(one, on_displaced);
  ASSERT_TRUE(settled->settle());
  auto oldest = few.take(one, on_displaced);
  auto second = few.take(two, on_displaced);
  auto newcomer = few.take(make_address("192.0.2.3"), on_displaced);
  ASSERT_TRUE(oldest && second && newcomer);
  EXPECT_EQ(displaced, std::vector{oldest->id()});
  EXPECT_TRUE(newcomer->settle() && second->settle());
  EXPECT_FALSE(oldest->settle());
  EXPECT_EQ(few.taken(), 3U);
}

TEST_F(Slots, CountAllOfAnIpv6NetworkAsOne) {
  auto first = slots.take(make_address("2001:db8::1"));
  auto second = slots.take(make_address("2001:db8::2:0:0:1"));
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(slots.take(make_address("2001:db8::3")));
  EXPECT_TRUE(slots.take(make_address("2001:db8:0:1::1")));
}

}  // namespace
}  // namespace hagring
