// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/dht/kad/mesh.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using std::chrono::minutes;
using std::chrono::seconds;
using test::ids_of;

class KadProvider : public testing::Test {
 protected:
  ~KadProvider() override { stop(); }

  /// A node with a table of all `count` peers that there is room for.
  void start(std::uint32_t count) {
    mesh = std::make_unique<test::Mesh>(count);
    rpc = mesh->network.rpc(numbered_peer(0));
    restart();
    for (const PeerInfo& peer : mesh->peers) table->admit(peer, mesh->clock.now());
  }

  /// A new process: nothing of the old one is left but `snapshot`.
  void restart(const Bytes& snapshot = {}) {
    const auto executor = mesh->context.get_executor();
    std::vector<PeerInfo> known = table ? table->peers() : std::vector<PeerInfo>();
    stop();
    table = std::make_unique<RoutingTable>(numbered_peer(0).id, TableOptions());
    for (const PeerInfo& peer : known) table->admit(peer, mesh->clock.now());
    keeper = std::make_unique<TableKeeper>(executor, mesh->clock, rng, *rpc, *table,
                                           KeeperOptions(), LookupOptions());
    provider = std::make_unique<Provider>(
        executor, mesh->clock, rng, *rpc, *keeper, *table, [this] { return addresses; },
        LookupOptions(), ProviderOptions());
    if (!snapshot.empty()) EXPECT_TRUE(provider->restore(snapshot));
    tasks = std::make_unique<TaskGroup>(executor, "test");
    tasks->spawn([this] { return provider->run(); });
  }

  void stop() {
    if (!tasks) return;
    tasks->cancel();
    tasks->spawn([this] { return keeper->stop(); });
    EXPECT_TRUE(mesh->clock.run_until([this] { return tasks->size() == 0; },
                                      mesh->clock.now() + minutes(1)));
    tasks.reset();
  }

  static std::vector<Bytes> keys(std::uint32_t count) {
    std::vector<Bytes> keys;
    for (std::uint32_t i = 0; i < count; ++i) {
      keys.push_back(content_wire_key("sha256:" + std::to_string(i)));
    }
    return keys;
  }

  /// The share of the right twenty that was told, over all of `wanted`.
  double placed(const std::vector<Bytes>& wanted) const {
    double right = 0;
    for (const Bytes& key : wanted) {
      const auto told = mesh->told_of(key);
      for (const PeerInfo& peer : mesh->nearest(Key::of(key), 20)) {
        right += std::binary_search(told.begin(), told.end(), peer.id) ? 1 : 0;
      }
    }
    return right / (20 * static_cast<double>(wanted.size()));
  }

  std::unique_ptr<test::Mesh> mesh;
  std::unique_ptr<Rpc> rpc;
  Rng rng{7};
  std::vector<Multiaddr> addresses = numbered_peer(0).addresses;
  std::unique_ptr<RoutingTable> table;
  std::unique_ptr<TableKeeper> keeper;
  std::unique_ptr<Provider> provider;
  std::unique_ptr<TaskGroup> tasks;
};

TEST_F(KadProvider, TellsANewKeyToTheTwentyNearestAtOnce) {
  start(300);
  provider->provide(keys(1));
  EXPECT_EQ(provider->untold(), 1);
  mesh->clock.run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(mesh->told_of(keys(1)[0]), ids_of(mesh->nearest(Key::of(keys(1)[0]), 20)));
  EXPECT_EQ(mesh->all_told.size(), 20);
  EXPECT_EQ(mesh->all_told[0].provider, numbered_peer(0));
  EXPECT_LE(mesh->network.counters().contacts, 20 + 15) << "a search, and trials of who was named";
  EXPECT_EQ(provider->untold(), 0);
}

TEST_F(KadProvider, TellsManyKeysRegionByRegion) {
  start(300);
  provider->provide(keys(600));
  mesh->clock.run_for(seconds(5));
  EXPECT_EQ(provider->untold(), 0);
  EXPECT_EQ(placed(keys(600)), 1.0);
  EXPECT_EQ(mesh->all_told.size(), 600 * 20);
  // 8 to 16 regions, each explored with a few searches of three questions, and each of the 300
  // told a few times: far from one search and 20 streams for each of 600 keys.
  EXPECT_LE(mesh->network.counters().contacts, 1500);
}

TEST_F(KadProvider, RepeatsEachKeyOnceAnInterval) {
  start(300);
  provider->provide(keys(200));
  mesh->clock.run_for(minutes(120));
  std::map<std::pair<std::uint32_t, Bytes>, TimePoint> last;
  Duration longest{0};
  for (const auto& told : mesh->all_told) {
    const auto [place, added] = last.try_emplace({told.peer, told.key}, told.when);
    if (!added) longest = std::max(longest, told.when - place->second);
    place->second = told.when;
  }
  EXPECT_EQ(last.size(), 200 * 20);
  EXPECT_LE(longest, minutes(16) + seconds(10)) << "records live for 19 minutes";
  EXPECT_LE(mesh->all_told.size(), last.size() * 10);
  EXPECT_GE(mesh->all_told.size(), last.size() * 8);
}

TEST_F(KadProvider, SpreadsTheRepetitionOverTheInterval) {
  start(600);
  provider->provide(keys(300));
  mesh->clock.run_for(minutes(2));
  const TimePoint begin = mesh->clock.now();
  mesh->all_told.clear();
  mesh->clock.run_for(minutes(15));
  std::map<long, std::size_t> by_minute;
  for (const auto& told : mesh->all_told) ++by_minute[(told.when - begin) / minutes(1)];
  EXPECT_GE(by_minute.size(), 10);
  for (const auto& [minute, count] : by_minute) EXPECT_LE(count, mesh->all_told.size() / 4);
}

TEST_F(KadProvider, OfASmallNetworkTellsEveryone) {
  start(8);
  provider->provide(keys(50));
  mesh->clock.run_for(seconds(2));
  EXPECT_EQ(mesh->all_told.size(), 50 * 8);
  EXPECT_LE(mesh->network.counters().contacts, 8 + 10 + 4) << "on one stream each";
}

TEST_F(KadProvider, WithdrawnKeysAreNotToldAgain) {
  start(100);
  provider->provide(keys(10));
  mesh->clock.run_for(minutes(1));
  provider->withdraw(keys(5));
  EXPECT_EQ(provider->keys().size(), 5);
  mesh->all_told.clear();
  mesh->clock.run_for(minutes(20));
  EXPECT_TRUE(mesh->told_of(keys(10)[0]).empty());
  EXPECT_EQ(mesh->told_of(keys(10)[9]).size(), 20);
}

TEST_F(KadProvider, TheNextNearestTakesADeadOnesPlace) {
  start(300);
  const Bytes key = keys(1)[0];
  auto nearest = mesh->nearest(Key::of(key), 20);
  for (const std::size_t rank : {5, 8, 13}) mesh->network.detach(nearest[rank].id);
  provider->provide({key});
  mesh->clock.run_for(seconds(30));
  const auto told = mesh->told_of(key);
  EXPECT_EQ(told.size(), 20);
  const auto took_it = [&](const PeerInfo& peer) {
    return std::binary_search(told.begin(), told.end(), peer.id);
  };
  EXPECT_EQ(std::ranges::count_if(nearest, took_it), 17);
  EXPECT_EQ(table->find(nearest[5].id), nullptr) << "and it leaves the table";
}

TEST_F(KadProvider, NewKeysDontWaitForPeersThatHaveVanished) {
  start(8);
  for (std::uint32_t number : {2, 5}) mesh->network.detach(numbered_peer(number).id);
  for (std::uint32_t i = 0; i < 10; ++i) {
    const Bytes key = keys(i + 1).back();
    provider->provide({key});
    mesh->clock.run_for(seconds(3));
    EXPECT_EQ(mesh->told_of(key).size(), 6) << "the " << i << "th";
  }
  EXPECT_EQ(table->find(numbered_peer(2).id), nullptr);
}

TEST_F(KadProvider, PeersThatAreOnlySlowAreToldAllTheSame) {
  start(8);
  const Bytes key = keys(1)[0];
  // Of the search for the nearest it is no part.
  mesh->network.delay(mesh->nearest(Key::of(key), 8).back().id, seconds(3));
  provider->provide({key});
  mesh->clock.run_for(seconds(2));
  EXPECT_EQ(mesh->told_of(key).size(), 7);
  mesh->clock.run_for(seconds(2));
  EXPECT_EQ(mesh->told_of(key).size(), 8);
}

TEST_F(KadProvider, TriesLessAndLessOftenWhatNobodyTakes) {
  start(30);
  mesh->network.partition([](const PeerId&, const PeerId&) { return false; });
  provider->provide(keys(1));
  for (int i = 0; i < 60; ++i) {
    // Whoever finds peers all the same must not ask them for ever.
    for (const PeerInfo& peer : mesh->peers) table->admit(peer, mesh->clock.now());
    mesh->clock.run_for(minutes(1));
  }
  const auto before = mesh->network.counters().contacts;
  EXPECT_LE(before, 20 * 80) << "10 s, 20 s, 40 s, …, then about every 6 minutes";
  EXPECT_EQ(provider->untold(), 1);
  mesh->network.partition({});
  mesh->clock.run_for(minutes(9));
  EXPECT_EQ(provider->untold(), 0);
}

TEST_F(KadProvider, CatchesUpAfterBeingCutOff) {
  start(100);
  provider->provide(keys(100));
  mesh->clock.run_for(minutes(1));
  mesh->network.partition([](const PeerId&, const PeerId&) { return false; });
  mesh->clock.run_for(minutes(40));
  mesh->all_told.clear();
  mesh->network.partition({});
  for (const PeerInfo& peer : mesh->peers) table->admit(peer, mesh->clock.now());
  mesh->clock.run_for(minutes(1));
  EXPECT_EQ(placed(keys(100)), 1.0);
  EXPECT_EQ(mesh->all_told.size(), 100 * 20);
}

TEST_F(KadProvider, ARestartTellsNothingAnew) {
  start(100);
  provider->provide(keys(50));
  mesh->clock.run_for(minutes(8));
  const Bytes snapshot = provider->snapshot();
  const std::size_t before = mesh->all_told.size();
  restart(snapshot);
  provider->provide(keys(51));
  EXPECT_EQ(provider->untold(), 1);
  mesh->clock.run_for(seconds(1));
  EXPECT_GE(mesh->all_told.size(), before + 20);
  EXPECT_LT(mesh->all_told.size(), before + 400) << "at most the region whose time has come";
  mesh->all_told.clear();
  mesh->clock.run_for(minutes(16));
  EXPECT_EQ(placed(keys(50)), 1.0) << "and each in its time";
}

TEST_F(KadProvider, ANewAddressIsToldAtOnce) {
  start(100);
  provider->provide(keys(50));
  mesh->clock.run_for(minutes(1));
  const Bytes snapshot = provider->snapshot();
  addresses = numbered_peer(999).addresses;
  mesh->all_told.clear();
  mesh->clock.run_for(minutes(1));
  EXPECT_EQ(mesh->all_told.size(), 50 * 20);
  EXPECT_EQ(mesh->all_told[0].provider.addresses, addresses);
  restart(snapshot);  // of the old address
  provider->provide(keys(50));
  mesh->all_told.clear();
  mesh->clock.run_for(minutes(1));
  EXPECT_EQ(mesh->all_told.size(), 50 * 20);
}

TEST_F(KadProvider, AnAddressThatGoesAndComesBackIsNoNews) {
  addresses.push_back(numbered_peer(999).addresses[0]);
  start(100);
  provider->provide(keys(50));
  mesh->clock.run_for(minutes(1));
  mesh->all_told.clear();
  const auto both = addresses;
  addresses.pop_back();
  mesh->clock.run_for(seconds(10));
  addresses = both;
  mesh->clock.run_for(seconds(10));
  EXPECT_LT(mesh->all_told.size(), 50 * 20 / 10) << "only what was due anyway";
  addresses.pop_back();
  mesh->clock.run_for(minutes(16));
  ASSERT_GE(mesh->all_told.size(), 50 * 20);
  EXPECT_EQ(mesh->all_told.back().provider.addresses, addresses) << "never one that has gone";
}

TEST_F(KadProvider, TellsNothingBeforeItHasAnAddress) {
  addresses.clear();
  start(100);
  provider->provide(keys(5));
  mesh->clock.run_for(minutes(1));
  EXPECT_TRUE(mesh->all_told.empty());
  addresses = numbered_peer(0).addresses;
  mesh->clock.run_for(seconds(2));
  EXPECT_EQ(placed(keys(5)), 1.0);
}

TEST_F(KadProvider, TellsAgainWhenTheNetworkHasGrown) {
  start(1);
  provider->provide(keys(20));
  mesh->clock.run_for(seconds(2));
  EXPECT_EQ(mesh->all_told.size(), 20);
  for (std::uint32_t number = 2; number <= 300; ++number) {
    mesh->peers.push_back(numbered_peer(number));
    mesh->up(number);
    table->admit(numbered_peer(number), mesh->clock.now());
  }
  mesh->clock.run_for(minutes(2));
  EXPECT_EQ(placed(keys(20)), 1.0);
}

TEST_F(KadProvider, ReadsNoBrokenSnapshot) {
  start(30);
  provider->provide(keys(3));
  mesh->clock.run_for(minutes(1));
  const Bytes snapshot = provider->snapshot();
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    EXPECT_FALSE(provider->restore(ByteView(snapshot).first(size))) << size;
  }
  EXPECT_TRUE(provider->restore(snapshot));
}

TEST(SweepClock, PassesEachPlaceOnceAnInterval) {
  Rng rng(5);
  for (int i = 0; i < 1000; ++i) {
    const SweepClock hand(rng.key(), minutes(15));
    const Key place = rng.key();
    const TimePoint now{std::chrono::hours(24) + seconds(rng.below(100'000))};
    const TimePoint first = hand.next_pass(place, now);
    EXPECT_GE(first, now);
    EXPECT_LE(first, now + minutes(15));
    const Duration turn = hand.next_pass(place, first + seconds(1)) - first;
    EXPECT_NEAR(std::chrono::duration<double>(turn).count(), 900, 0.01);
  }
}

TEST(SweepClock, DiffersByNode) {
  const Key place;
  std::set<long> minute;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const SweepClock hand(Key::of(numbered_peer(i).id), minutes(15));
    const TimePoint now{std::chrono::hours(24)};
    minute.insert((hand.next_pass(place, now) - now) / minutes(1));
  }
  EXPECT_EQ(minute.size(), 15);
}

}  // namespace
}  // namespace hagring::kad
