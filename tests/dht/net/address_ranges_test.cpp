// SPDX-License-Identifier: Apache-2.0
#include "dht/net/address_ranges.hpp"

#include <gtest/gtest.h>

namespace hagring::dht {
namespace {

bool contains(const AddressRanges& ranges, const char* address) {
  return ranges.contains(asio::ip::make_address(address));
}

TEST(AddressRanges, OrdinaryOnesLeaveOutWhatNamesNoOtherHost) {
  const auto ranges = AddressRanges::ordinary();
  for (const auto* address : {"10.0.0.1", "192.0.2.1", "100.64.0.1", "2001:db8::1", "fd00::1",
                              "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"}) {
    EXPECT_TRUE(contains(ranges, address)) << address;
  }
  for (const auto* address :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.1", "169.254.169.254", "224.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "fe80::1", "febf::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.0.1", "::ffff:0.0.0.0", "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254", "64:ff9b::"}) {
    EXPECT_FALSE(contains(ranges, address)) << address;
  }
}

TEST(AddressRanges, WideOnesLeaveTheSameOut) {
  const auto ranges = AddressRanges::parse({"0.0.0.0/0", "::/0"});
  ASSERT_TRUE(ranges);
  for (const auto* address : {"10.0.0.1", "192.0.2.1", "fd00::1", "64:ff9b::192.0.2.1"}) {
    EXPECT_TRUE(contains(*ranges, address)) << address;
  }
  for (const auto* address :
       {"127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "::", "fe80::1", "::127.0.0.1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"}) {
    EXPECT_FALSE(contains(*ranges, address)) << address;
  }
  // Half of IPv4 holds loopback no less.
  EXPECT_FALSE(contains(*AddressRanges::parse({"0.0.0.0/1"}), "127.0.0.1"));
  EXPECT_FALSE(contains(*AddressRanges::parse({"::ffff:0.0.0.0/96"}), "::ffff:127.0.0.1"));
}

TEST(AddressRanges, OnesThatAreNamedOnPurposeAreTaken) {
  const auto ranges = AddressRanges::parse({"0.0.0.0/0", "127.0.0.0/30", "fe80::/64"});
  ASSERT_TRUE(ranges);
  for (const auto* address : {"127.0.0.1", "::ffff:127.0.0.1", "fe80::1", "10.0.0.1"}) {
    EXPECT_TRUE(contains(*ranges, address)) << address;
  }
  for (const auto* address : {"127.0.1.1", "169.254.169.254", "fe80:0:0:1::1", "::1"}) {
    EXPECT_FALSE(contains(*ranges, address)) << address;
  }
}

TEST(AddressRanges, NamedOnesAreAll) {
  const auto ranges = AddressRanges::parse({"10.0.0.0/8", "fd00::/8", "127.0.0.1"});
  ASSERT_TRUE(ranges);
  for (const auto* address : {"10.255.0.1", "::ffff:10.0.0.1", "fd12::1", "127.0.0.1"}) {
    EXPECT_TRUE(contains(*ranges, address)) << address;
  }
  for (const auto* address : {"11.0.0.1", "fe80::1", "127.0.0.2", "::1"}) {
    EXPECT_FALSE(contains(*ranges, address)) << address;
  }
  EXPECT_FALSE(contains(*AddressRanges::parse({}), "10.0.0.1"));
  EXPECT_EQ(AddressRanges::parse({"10.0.0.0/8", "10.0.0.0/33"}).error(), Errc::bad_message);
}

}  // namespace
}  // namespace hagring::dht
