// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/connection_slots.hpp"

#include <gtest/gtest.h>

namespace hagring {
namespace {

TEST(ConnectionSlots, AreLimitedInAllAndByAddress) {
  const auto one = boost::asio::ip::make_address("192.0.2.1");
  const auto mapped = boost::asio::ip::make_address("::ffff:192.0.2.1");
  const auto other = boost::asio::ip::make_address("2001:db8::1");
  ConnectionSlots slots(3, 2);
  auto first = slots.take(one);
  auto second = slots.take(mapped);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(slots.take(one));
  auto third = slots.take(other);
  EXPECT_TRUE(third);
  EXPECT_FALSE(slots.take(other));
  first.reset();
  EXPECT_EQ(slots.taken(), 2U);
  EXPECT_TRUE(slots.take(one));
}

}  // namespace
}  // namespace hagring
