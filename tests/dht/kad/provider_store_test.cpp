// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "dht/sim/peers.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using std::chrono::minutes;

Key key(std::uint32_t number) { return Key::of(numbered_peer(number).id); }

TEST(ProviderStore, FindsTheLatestFirstUntilTheyEnd) {
  hagring::test::ManualClock clock;
  ProviderStore store(clock, {});
  EXPECT_TRUE(store.add(key(1), numbered_peer(1)));
  clock.advance(minutes(10));
  EXPECT_TRUE(store.add(key(1), numbered_peer(2)));
  EXPECT_EQ(store.find(key(1)), (std::vector{numbered_peer(2), numbered_peer(1)}));
  EXPECT_TRUE(store.find(key(2)).empty());
  clock.advance(minutes(9));
  EXPECT_EQ(store.find(key(1)), std::vector{numbered_peer(2)});
  clock.advance(minutes(10));
  EXPECT_TRUE(store.find(key(1)).empty());
  EXPECT_EQ(store.records(), 2);
  store.collect();
  EXPECT_EQ(store.records(), 0);
  EXPECT_EQ(store.keys(), 0);
  EXPECT_EQ(store.peers(), 0);
}

TEST(ProviderStore, ARepetitionRenewsTimeAndAddresses) {
  hagring::test::ManualClock clock;
  ProviderStore store(clock, {});
  store.add(key(1), numbered_peer(1));
  clock.advance(minutes(15));
  PeerInfo moved = numbered_peer(1);
  moved.addresses = numbered_peer(5).addresses;
  store.add(key(1), moved);
  clock.advance(minutes(15));
  EXPECT_EQ(store.find(key(1)), std::vector{moved});
  EXPECT_EQ(store.records(), 1);
}

TEST(ProviderStore, AddressesEndWithoutTheRecord) {
  hagring::test::ManualClock clock;
  ProviderStore store(clock, {.validity = std::chrono::hours(48)});
  store.add(key(1), numbered_peer(1));
  clock.advance(minutes(61));
  ASSERT_EQ(store.find(key(1)).size(), 1);
  EXPECT_TRUE(store.find(key(1))[0].addresses.empty());
}

TEST(ProviderStore, IsBounded) {
  hagring::test::ManualClock clock;
  ProviderStore store(
      clock, {.max_records = 50, .max_records_of_a_peer = 20, .max_providers_of_a_key = 10});
  for (std::uint32_t i = 0; i < 100; ++i) store.add(key(i), numbered_peer(1));
  EXPECT_EQ(store.records(), 20);
  for (std::uint32_t i = 0; i < 100; ++i) {
    clock.advance(std::chrono::seconds(1));
    EXPECT_TRUE(store.add(key(500), numbered_peer(100 + i)));
  }
  EXPECT_EQ(store.records(), 30);
  EXPECT_EQ(store.find(key(500)).size(), 10);
  EXPECT_EQ(store.find(key(500))[0], numbered_peer(199));
  EXPECT_EQ(store.find(key(500))[9], numbered_peer(190));
  for (std::uint32_t i = 0; i < 100; ++i) store.add(key(1000 + i), numbered_peer(1000 + i));
  EXPECT_EQ(store.records(), 50);
  EXPECT_EQ(store.find(key(1099)), std::vector{numbered_peer(1099)}) << "the latest has a place";
  EXPECT_FALSE(ProviderStore(clock, {.max_records_of_a_peer = 0}).add(key(1), numbered_peer(1)));
}

TEST(ProviderStore, OneMachinesManyIdentitiesPushNobodyOut) {
  hagring::test::ManualClock clock;
  ProviderStore store(clock, {.max_records = 1000, .max_providers_of_a_key = 10});
  for (std::uint32_t i = 0; i < 60; ++i) EXPECT_TRUE(store.add(key(i), numbered_peer(i)));
  clock.advance(std::chrono::seconds(1));
  const Ip machine(numbered_peer(99).addresses[0].ip());
  for (std::uint32_t i = 0; i < 3000; ++i) {
    EXPECT_TRUE(store.add(key(1000 + i), numbered_peer(1000 + i), machine));
    EXPECT_TRUE(store.add(key(5), numbered_peer(1000 + i), machine));
    ASSERT_LE(store.records(), 1000);
  }
  EXPECT_GE(store.records(), 900) << "it isn't emptied more than it must";
  for (std::uint32_t i = 0; i < 60; ++i) {
    const auto found = store.find(key(i));
    EXPECT_TRUE(std::ranges::find(found, numbered_peer(i)) != found.end()) << i;
  }
  EXPECT_LE(store.find(key(5)).size(), 10);
  // A restart doesn't forget who is one machine.
  ProviderStore after(clock, {.max_records = 1000});
  ASSERT_TRUE(after.restore(store.snapshot()));
  for (std::uint32_t i = 0; i < 2000; ++i) after.add(key(9000 + i), numbered_peer(9000), machine);
  for (std::uint32_t i = 0; i < 60; ++i) EXPECT_FALSE(after.find(key(i)).empty()) << i;
  EXPECT_LE(after.records(), 1000);
}

TEST(ProviderStore, WhenAllHoldTheSameSomeGo) {
  hagring::test::ManualClock clock;
  for (const std::size_t most : {1, 2, 64, 200}) {
    ProviderStore store(clock, {.max_records = most});
    for (std::uint32_t i = 0; i < 1000; ++i) {
      EXPECT_TRUE(store.add(key(i), numbered_peer(i)));
      ASSERT_LE(store.records(), most);
      ASSERT_EQ(store.peers(), store.records());
      ASSERT_EQ(store.find(key(i)).size(), 1);
    }
    EXPECT_GE(store.records(), most - most / 32);
  }
}

TEST(ProviderStore, ComesBackAfterARestart) {
  hagring::test::ManualClock clock;
  ProviderStore before(clock, {});
  for (std::uint32_t i = 0; i < 30; ++i) before.add(key(i), numbered_peer(i % 3));
  clock.advance(minutes(5));
  const Bytes file = before.snapshot();
  clock.advance(minutes(1));
  ProviderStore after(clock, {});
  ASSERT_TRUE(after.restore(file));
  EXPECT_EQ(after.records(), 30);
  EXPECT_EQ(after.peers(), 3);
  EXPECT_EQ(after.find(key(7)), std::vector{numbered_peer(1)});
  clock.advance(minutes(12));
  EXPECT_EQ(after.find(key(7)).size(), 1);
  clock.advance(minutes(2));
  EXPECT_TRUE(after.find(key(7)).empty());
  ProviderStore late(clock, {});
  ASSERT_TRUE(late.restore(file));
  EXPECT_EQ(late.records(), 0);
}

TEST(ProviderStore, ReadsNoBrokenSnapshot) {
  hagring::test::ManualClock clock;
  ProviderStore before(clock, {});
  for (std::uint32_t i = 0; i < 3; ++i) before.add(key(i), numbered_peer(i));
  const Bytes file = before.snapshot();
  for (std::size_t size = 0; size < file.size(); ++size) {
    ProviderStore after(clock, {});
    EXPECT_FALSE(after.restore(ByteView(file).first(size))) << size;
  }
  // A clock that was set back, or a changed file, gives no record a longer life.
  Bytes changed = file;
  std::fill(changed.end() - 4, changed.end(), 0xff);
  std::fill(changed.begin() + 4, changed.begin() + 12, 0xff);
  ProviderStore after(clock, {});
  ASSERT_TRUE(after.restore(changed));
  clock.advance(minutes(19));
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(after.find(key(i)).empty());
}

TEST(ProviderStore, CountsThatAreOnlyClaimedCostNothing) {
  hagring::test::ManualClock clock;
  ProviderStore store(clock, {});
  // Four thousand million peers, a peer with an ID of 255 bytes, as many records.
  for (const char* counts : {"ffffffff", "ffffffffff", "00000000ffffffff"}) {
    const auto file = *from_hex("484b503200000000694e8a00" + std::string(counts));
    EXPECT_EQ(store.restore(file).error(), Errc::bad_message) << counts;
  }
  EXPECT_EQ(store.records() + store.peers() + store.keys(), 0);
}

}  // namespace
}  // namespace hagring::kad
