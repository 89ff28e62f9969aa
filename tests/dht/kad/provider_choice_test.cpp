// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider_choice.hpp"

#include <gtest/gtest.h>

#include "dht/sim/peers.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;

std::vector<PeerInfo> peers(std::uint32_t first, std::uint32_t count) {
  std::vector<PeerInfo> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back(numbered_peer(first + i));
  return all;
}

TEST(ProviderChoice, HandsOnAFewOfEachPeerAtOnceAndTheRestInTurn) {
  ProviderChoice choice(numbered_peer(0).id);
  EXPECT_EQ(choice.take(peers(100, 8)), peers(100, 4));
  EXPECT_EQ(choice.take(peers(200, 6)), peers(200, 4));
  const std::vector rest{numbered_peer(104), numbered_peer(200 + 4), numbered_peer(105),
                         numbered_peer(205), numbered_peer(106),     numbered_peer(107)};
  EXPECT_EQ(choice.rest(), rest);
  EXPECT_TRUE(choice.rest().empty());
}

TEST(ProviderChoice, PrefersThoseThatSeveralName) {
  ProviderChoice choice(numbered_peer(0).id);
  EXPECT_EQ(choice.take(peers(100, 20)), peers(100, 4));
  auto other = peers(300, 6);
  other.push_back(numbered_peer(119));
  other.push_back(numbered_peer(119));
  EXPECT_EQ(choice.take(other), (std::vector{numbered_peer(119), numbered_peer(300),
                                             numbered_peer(301), numbered_peer(302)}));
  EXPECT_EQ(choice.take(peers(112, 7)), peers(112, 4));
  EXPECT_EQ(choice.take({numbered_peer(303), numbered_peer(303)}), std::vector{numbered_peer(303)});
  const auto rest = choice.rest();
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.front(), numbered_peer(116)) << "two named it";
}

TEST(ProviderChoice, ReadsOtherAddressesAsAnotherPlace) {
  ProviderChoice choice(numbered_peer(0).id);
  PeerInfo wrong = numbered_peer(1);
  wrong.addresses = numbered_peer(2).addresses;
  EXPECT_EQ(choice.take({wrong}), std::vector{wrong});
  PeerInfo both = numbered_peer(1);
  both.addresses.push_back(wrong.addresses[0]);
  EXPECT_EQ(choice.take({both}), std::vector{numbered_peer(1)});
  EXPECT_TRUE(choice.take({numbered_peer(1), wrong, both}).empty());
}

TEST(ProviderChoice, NamesNeitherUsNorThoseWithoutAddressAndIsBounded) {
  ProviderChoice choice(numbered_peer(0).id);
  EXPECT_TRUE(choice.take({numbered_peer(0), {numbered_peer(1).id, {}}}).empty());
  EXPECT_EQ(choice.take(peers(100, 20'000)).size(), 4);
  EXPECT_EQ(choice.rest().size(), 61);
  for (std::uint32_t i = 0; i < 200; ++i) {
    EXPECT_EQ(choice.take(peers(100'000 + 100 * i, 100)).size(), 4)
        << "there is always a place for a few";
  }
  EXPECT_LE(choice.rest().size(), 4096 + 65);
}

}  // namespace
}  // namespace hagring::kad
