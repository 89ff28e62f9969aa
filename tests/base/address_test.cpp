// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/address.hpp"

#include <gtest/gtest.h>

namespace hagring {
namespace {

std::string round_trip(std::string_view text) {
  const auto prefix = parse_prefix(text);
  return prefix ? to_string(*prefix) : "refused";
}

TEST(Prefix, IsRead) {
  EXPECT_EQ(round_trip("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.1.2.3/8"), "10.0.0.0/8");
  EXPECT_EQ(round_trip("10.1.2.255/25"), "10.1.2.128/25");
  EXPECT_EQ(round_trip("10.0.0.5"), "10.0.0.5/32");
  EXPECT_EQ(round_trip("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(round_trip("2001:db8::ffff/33"), "2001:db8::/33");
  EXPECT_EQ(round_trip("::1"), "::1/128");
  EXPECT_EQ(round_trip("::ffff:10.1.2.3/104"), "10.0.0.0/8");
}

TEST(Prefix, RefusesWhatIsNone) {
  for (const auto* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "::/129", "registry.example", "10.0.0.0/99999999999"}) {
    EXPECT_EQ(round_trip(text), "refused") << text;
  }
}

TEST(Prefix, ContainsItsFamilyOnly) {
  const auto within = [](std::string_view prefix, const char* address) {
    return parse_prefix(prefix)->contains(asio::ip::make_address(address));
  };
  EXPECT_TRUE(within("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(within("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(within("0.0.0.0/0", "192.0.2.1"));
  EXPECT_FALSE(within("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(within("fe80::/10", "febf::1"));
  EXPECT_FALSE(within("fe80::/10", "fec0::1"));
}

TEST(SourceOf, IsAnAddressOrANetworkOfIpv6) {
  const auto source = [](const char* address) {
    return source_of(asio::ip::make_address(address)).to_string();
  };
  EXPECT_EQ(source("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(source("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
}

}  // namespace
}  // namespace hagring
