// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/place.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/registry/herd/samples.hpp"
#include "userspace/base/hasher.hpp"

namespace hagring::herd {
namespace {

std::vector<NodeId> some_nodes(std::size_t count) {
  std::vector<NodeId> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back("node " + std::to_string(i));
  return nodes;
}

TEST(HerdPlace, IsTheHashOfItsNameAndOfThePeerId) {
  const HerdId herd = sample_herd('b', "zone");
  const Bytes hash = sha256(as_bytes(place_name(herd)));
  EXPECT_TRUE(std::ranges::equal(place_of(herd), hash));
  EXPECT_TRUE(std::ranges::equal(place_of(NodeId("peer")), sha256(as_bytes("peer"))));
}

TEST(HerdPlace, EachBlobAndEachZoneHasItsOwn) {
  EXPECT_NE(place_of(sample_herd('a')), place_of(sample_herd('b')));
  EXPECT_NE(place_of(sample_herd('a')), place_of(sample_herd('a', "z")));
}

TEST(HerdPlace, TheOrderIsThatOfTheXorDistance) {
  const Key place = place_of(sample_herd());
  auto nodes = some_nodes(50);
  nodes.push_back(nodes[3]);
  const auto ranked = rank(place, nodes, 100);
  ASSERT_EQ(ranked.size(), 50U);
  for (std::size_t i = 1; i < ranked.size(); ++i) {
    EXPECT_TRUE(nearer(place, ranked[i - 1], ranked[i]));
    EXPECT_FALSE(nearer(place, ranked[i], ranked[i - 1]));
  }
  EXPECT_FALSE(nearer(place, ranked[0], ranked[0]));
  std::reverse(nodes.begin(), nodes.end());
  const auto three = rank(place, nodes, 3);
  EXPECT_EQ(three, std::vector<NodeId>(ranked.begin(), ranked.begin() + 3));
  EXPECT_TRUE(rank(place, {}, 3).empty());
}

TEST(HerdPlace, DifferentBlobsSpreadOverTheNodes) {
  std::map<NodeId, int> coordinators;
  for (int i = 0; i < 64; ++i) {
    const auto hex = to_hex(sha256(as_bytes(std::to_string(i))));
    const HerdId herd{*Digest::parse("sha256:" + hex)};
    ++coordinators[rank(place_of(herd), some_nodes(16), 1)[0]];
  }
  EXPECT_GE(coordinators.size(), 12U);
}

TEST(HerdPieces, StripesShareABlobOut) {
  EXPECT_EQ(pieces_of(0), 0U);
  EXPECT_EQ(pieces_of(1), 1U);
  EXPECT_EQ(pieces_of(kPieceSize), 1U);
  EXPECT_EQ(pieces_of(kPieceSize + 1), 2U);
  for (std::uint64_t pieces = 0; pieces < 10; ++pieces) {
    EXPECT_EQ(pieces_in(0, pieces) + pieces_in(1, pieces), pieces);
    EXPECT_GE(pieces_in(0, pieces), pieces_in(1, pieces));
  }
  EXPECT_EQ(first_missing_byte({0, 0}), 0U);
  EXPECT_EQ(first_missing_byte({1, 0}), kPieceSize);
  EXPECT_EQ(first_missing_byte({1, 1}), 2 * kPieceSize);
  EXPECT_EQ(first_missing_byte({5, 2}), 5 * kPieceSize);
}

}  // namespace
}  // namespace hagring::herd
