// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/routing_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dht/sim/peers.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using Place = RoutingTable::Place;

constexpr TimePoint kNow{std::chrono::hours(1)};

RoutingTable filled(std::uint32_t peers, TableOptions options = {}) {
  RoutingTable table(numbered_peer(0).id, options);
  for (std::uint32_t i = 1; i <= peers; ++i) table.admit(numbered_peer(i), kNow);
  return table;
}

TEST(RoutingTable, HoldsTwentyABucket) {
  const RoutingTable table = filled(1000);
  EXPECT_EQ(table.bucket_count(0), 20);
  EXPECT_EQ(table.bucket_count(1), 20);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < table.depth(); ++i) sum += table.bucket_count(i);
  EXPECT_EQ(sum, table.size());
  EXPECT_EQ(table.peers().size(), table.size());
  EXPECT_GT(table.bucket_count(table.depth() - 1), 0);
}

TEST(RoutingTable, NamesTheNearestOfThoseItHas) {
  const RoutingTable table = filled(1000);
  for (std::uint32_t i = 2000; i < 2200; ++i) {
    const Key target = Key::of(numbered_peer(i).id);
    auto all = table.peers();
    std::sort(all.begin(), all.end(), [&](const PeerInfo& a, const PeerInfo& b) {
      return nearer(target, Key::of(a.id), Key::of(b.id));
    });
    all.resize(20);
    ASSERT_EQ(table.nearest(target, 20), all);
    const PeerId first = all[0].id;
    EXPECT_NE(table.nearest(target, 20, &first)[0].id, first);
  }
  EXPECT_EQ(table.nearest(table.self_key(), 5000).size(), table.size());
}

TEST(RoutingTable, RefusesItselfAndPeersWithoutAddress) {
  RoutingTable table = filled(0);
  EXPECT_EQ(table.admit(numbered_peer(0), kNow), Place::refused);
  PeerInfo nowhere = numbered_peer(1);
  nowhere.addresses.clear();
  EXPECT_EQ(table.admit(nowhere, kNow), Place::refused);
  EXPECT_EQ(table.size(), 0);
  EXPECT_TRUE(table.nearest(table.self_key(), 20).empty());
}

TEST(RoutingTable, KeepsCandidatesForAFreePlace) {
  RoutingTable table = filled(1000);
  PeerInfo member;
  for (const PeerInfo& peer : table.peers()) {
    if (common_prefix_length(table.self_key(), Key::of(peer.id)) == 0) member = peer;
  }
  EXPECT_EQ(table.place_for(member), Place::known);
  EXPECT_EQ(table.remove(member.id)->id, member.id);
  EXPECT_FALSE(table.remove(member.id));
  EXPECT_EQ(table.bucket_count(0), 19);
  for (int i = 0; i < 8; ++i) {
    const auto candidate = table.take_waiting(Key::of(member.id));
    ASSERT_TRUE(candidate);
    EXPECT_EQ(common_prefix_length(table.self_key(), Key::of(candidate->id)), 0);
    EXPECT_EQ(table.place_for(*candidate), Place::bucket);
  }
  EXPECT_FALSE(table.take_waiting(Key::of(member.id)));
}

TEST(RoutingTable, LimitsPeersOfOneAddress) {
  RoutingTable table = filled(0);
  std::size_t taken = 0;
  for (std::uint32_t i = 1; i < 100; ++i) {
    PeerInfo peer = numbered_peer(i);
    peer.addresses = numbered_peer(1).addresses;
    if (table.admit(peer, kNow) == Place::bucket) ++taken;
  }
  EXPECT_EQ(taken, 3);
  EXPECT_LE(table.bucket_count(0), 2);
  const PeerId gone = table.peers()[0].id;
  table.remove(gone);
  PeerInfo again = numbered_peer(500);
  again.id = gone;
  again.addresses = numbered_peer(1).addresses;
  EXPECT_EQ(table.admit(again, kNow), Place::bucket);
}

TEST(RoutingTable, TakesNoOtherAddressesThanThoseOfTheConnection) {
  RoutingTable table = filled(2);
  const Ip remote = numbered_peer(1).claimed_ip();
  PeerInfo wrong = numbered_peer(1);
  wrong.addresses = numbered_peer(9).addresses;
  EXPECT_EQ(table.admit(wrong, kNow + std::chrono::minutes(1), remote), Place::known);
  EXPECT_EQ(table.find(wrong.id)->peer, numbered_peer(1)) << "somebody named it wrongly";
  EXPECT_EQ(table.find(wrong.id)->answered, kNow + std::chrono::minutes(1));
  EXPECT_EQ(table.admit(wrong, kNow, wrong.claimed_ip()), Place::known);
  EXPECT_EQ(table.find(wrong.id)->peer, wrong) << "it has moved";
}

TEST(RoutingTable, SpreadsAFullBucketsPeers) {
  // Twenty neighbours fill the far half's bucket first, then everyone else comes by.
  RoutingTable table(numbered_peer(0).id, {.replacements = 8});
  std::vector<PeerInfo> far;
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    const PeerInfo peer = numbered_peer(i);
    if (common_prefix_length(table.self_key(), Key::of(peer.id)) == 0) far.push_back(peer);
  }
  std::ranges::sort(far, {}, [](const PeerInfo& peer) { return Key::of(peer.id); });
  for (const PeerInfo& peer : far) table.admit(peer, kNow);
  EXPECT_EQ(table.bucket_count(0), 20);
  std::map<std::uint8_t, int> corners;
  for (const PeerInfo& peer : table.peers()) ++corners[Key::of(peer.id).bytes()[0] >> 3 & 0xf];
  EXPECT_EQ(corners.size(), 16);
  for (const auto& [corner, count] : corners) EXPECT_LE(count, 2);
  // The oldest of a corner stays.
  EXPECT_NE(table.find(far.front().id), nullptr);
  EXPECT_EQ(table.size(), 20);
}

TEST(RoutingTable, RenewsAddressesAndTimes) {
  RoutingTable table = filled(2);
  PeerInfo moved = numbered_peer(1);
  moved.addresses = numbered_peer(9).addresses;
  EXPECT_EQ(table.admit(moved, kNow + std::chrono::minutes(1)), Place::known);
  EXPECT_EQ(table.find(moved.id)->peer, moved);
  EXPECT_EQ(table.size(), 2);
  const auto silent = table.silent_since(kNow + std::chrono::seconds(1), 10);
  ASSERT_EQ(silent.size(), 1);
  EXPECT_EQ(silent[0], numbered_peer(2));
  table.answered(numbered_peer(2).id, kNow + std::chrono::minutes(2));
  EXPECT_TRUE(table.silent_since(kNow + std::chrono::seconds(1), 10).empty());
  EXPECT_EQ(table.find(numbered_peer(7).id), nullptr);
}

}  // namespace
}  // namespace hagring::kad
