// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/key.hpp"

#include <gtest/gtest.h>

namespace hagring::kad {
namespace {

Key key_from(std::uint8_t first, std::uint8_t fill) {
  Key::Array bytes;
  bytes.fill(fill);
  bytes[0] = first;
  return Key(bytes);
}

// The vector was taken from Spegel's libraries.
TEST(Key, IsSpegelsForAnImageName) {
  const Bytes wire = content_wire_key("docker.io/library/nginx:1.27");
  EXPECT_EQ(to_hex(wire), "12206965a10c15290ad0b29ca7fd1866de1850408b3cb15fb11a3bbbbc2fddb158bd");
  EXPECT_EQ(to_hex(Key::of(wire).bytes()),
            "d290156439fdd3b454b7ced82cd3edf4a68ac867c4cec8ff0b14ed88d38ea790");
}

TEST(Key, DistanceIsXorAndOrdersByCloseness) {
  const Key a = key_from(0b1010'0000, 1);
  const Key b = key_from(0b1000'0000, 1);
  EXPECT_EQ(distance(a, b), key_from(0b0010'0000, 0));
  EXPECT_EQ(distance(a, a), Key());
  EXPECT_TRUE(nearer(a, a, b));
  EXPECT_FALSE(nearer(a, b, a));
  EXPECT_FALSE(nearer(a, b, b));
  EXPECT_TRUE(nearer(key_from(0, 0), b, a));
}

TEST(Key, SharedPrefixIsCountedInBits) {
  EXPECT_EQ(common_prefix_length(key_from(0x80, 0), key_from(0, 0)), 0);
  EXPECT_EQ(common_prefix_length(key_from(0xa0, 0), key_from(0x80, 0)), 2);
  EXPECT_EQ(common_prefix_length(key_from(7, 0), key_from(7, 1)), 15);
  EXPECT_EQ(common_prefix_length(Key(), Key()), 256);
}

TEST(Key, PrefixesBoundTheirRegion) {
  const Key key = key_from(0b1011'0110, 0x5a);
  EXPECT_EQ(key.first_with_prefix(3), key_from(0b1010'0000, 0));
  EXPECT_EQ(key.last_with_prefix(3), key_from(0b1011'1111, 0xff));
  EXPECT_EQ(key.first_with_prefix(0), Key());
  EXPECT_EQ(key.first_with_prefix(256), key);
  EXPECT_EQ(key.last_with_prefix(8).bytes()[0], 0b1011'0110);
  EXPECT_EQ(key.last_with_prefix(8).bytes()[1], 0xff);
}

TEST(Key, SiblingTurnsOneBitAndTakesTheTail) {
  const Key key = key_from(0b1011'0110, 0);
  const Key turned = key.sibling(2, key_from(0xff, 0x33));
  EXPECT_EQ(turned, key_from(0b1001'1111, 0x33));
  EXPECT_EQ(common_prefix_length(key, turned), 2);
  EXPECT_EQ(common_prefix_length(key, key.sibling(0, key)), 0);
  EXPECT_EQ(common_prefix_length(key, key.sibling(255, key)), 255);
}

TEST(Key, FractionIsThePlaceInTheSpace) {
  EXPECT_EQ(Key().fraction(), 0.0);
  EXPECT_EQ(key_from(0x80, 0).fraction(), 0.5);
  EXPECT_LT(key_from(0xff, 0xff).fraction(), 1.0);
}

TEST(PeerId, IsAnIdentityOrSha256Multihash) {
  Bytes bytes(38, 1);
  bytes[0] = 0;
  bytes[1] = 36;
  ASSERT_TRUE(PeerId::from_bytes(bytes));
  EXPECT_EQ(to_hex(PeerId::from_bytes(bytes)->bytes()), to_hex(bytes));
  bytes[1] = 35;
  EXPECT_FALSE(PeerId::from_bytes(bytes));
  EXPECT_FALSE(PeerId::from_bytes({}));
  EXPECT_FALSE(PeerId::from_bytes(*from_hex("0000")));
  EXPECT_FALSE(PeerId::from_bytes(*from_hex("120101")));
  EXPECT_FALSE(PeerId::from_bytes(Bytes(100, 98)));
  EXPECT_TRUE(PeerId::from_bytes(*from_hex("1220" + std::string(64, 'a'))));
}

TEST(Multiaddr, ShowsTheAddressItStartsWith) {
  EXPECT_EQ(to_hex(Multiaddr(*from_hex("047f000001060001")).ip()), "7f000001");
  EXPECT_EQ(Multiaddr(*from_hex("29" + std::string(32, '1') + "060001")).ip().size(), 16);
  EXPECT_TRUE(Multiaddr(*from_hex("047f0000")).ip().empty());
  EXPECT_TRUE(Multiaddr(*from_hex("3603616161060001")).ip().empty());
}

}  // namespace
}  // namespace hagring::kad
