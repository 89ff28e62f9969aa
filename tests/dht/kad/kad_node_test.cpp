// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/kad_node.hpp"

#include <gtest/gtest.h>

#include "tests/dht/kad/mesh.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using std::chrono::minutes;
using std::chrono::seconds;

/// 127.0.0.1, port 5001.
const Multiaddr kLoopback(Bytes{0x04, 127, 0, 0, 1, 0x06, 0x13, 0x89});

class KadNodeTest : public testing::Test {
 protected:
  KadNodeTest() {
    options.own_addresses = [] { return numbered_peer(0).addresses; };
    options.allowed = [](const Multiaddr& address) {
      return !address.ip().empty() && address.ip()[0] == 10;
    };
    start();
  }

  ~KadNodeTest() override { stop(); }

  void start() {
    const auto executor = mesh.context.get_executor();
    node = std::make_unique<KadNode>(executor, mesh.clock, rng, *rpc, numbered_peer(0).id, options);
    tasks = std::make_unique<TaskGroup>(executor, "test");
  }

  void stop() {
    tasks->cancel();
    tasks->spawn([this] { return node->stop(); });
    EXPECT_TRUE(
        mesh.clock.run_until([this] { return tasks->size() == 0; }, mesh.clock.now() + minutes(1)));
  }

  /// Runs until nothing but run() is left.
  void finish(std::function<awaitable<void>()> task) {
    bool done = false;
    tasks->spawn([&]() -> awaitable<void> {
      co_await task();
      done = true;
    });
    ASSERT_TRUE(mesh.clock.run_until([&] { return done; }, mesh.clock.now() + minutes(5)));
  }

  void join() {
    finish([this]() -> awaitable<void> { (void)co_await node->join({numbered_peer(1)}); });
  }

  LookupResult find(const std::string& key, std::size_t wanted) {
    LookupResult result;
    seen.clear();
    finish([&, key, wanted]() -> awaitable<void> {
      result = co_await node->find_providers(key, [&, wanted](const PeerInfo& provider) {
        seen.push_back(provider);
        return seen.size() < wanted;
      });
    });
    return result;
  }

  /// ADD_PROVIDER of `key` from peer `number`.
  bool add(const std::string& key, std::uint32_t number) {
    Message message;
    message.type = MessageType::add_provider;
    message.key = content_wire_key(key);
    message.provider_peers = {numbered_peer(number)};
    return node->handle(numbered_peer(number), message).has_value();
  }

  test::Mesh mesh{100};
  std::unique_ptr<Rpc> rpc = mesh.network.rpc(numbered_peer(0));
  Rng rng{7};
  KadOptions options;
  std::unique_ptr<KadNode> node;
  std::unique_ptr<TaskGroup> tasks;
  std::vector<PeerInfo> seen;
};

TEST_F(KadNodeTest, JoinsThroughOneSeed) {
  EXPECT_TRUE(node->is_cut_off());
  join();
  EXPECT_FALSE(node->is_cut_off());
  EXPECT_GE(node->table().size(), 40);
}

TEST_F(KadNodeTest, ASearchWithAnEmptyTableEndsAtOnce) {
  const TimePoint before = mesh.clock.now();
  const LookupResult result = find("sha256:aa", 1);
  EXPECT_EQ(mesh.clock.now(), before);
  EXPECT_EQ(result.providers, 0);
  EXPECT_TRUE(result.complete);
}

TEST_F(KadNodeTest, RecordsHeldHereComeFirst) {
  join();
  ASSERT_TRUE(add("sha256:aa", 70));
  ASSERT_TRUE(add("sha256:aa", 71));
  const auto asked = mesh.network.counters().requests;
  LookupResult result = find("sha256:aa", 2);
  EXPECT_EQ(result.rounds_to_provider, 0);
  EXPECT_EQ(result.providers, 2);
  EXPECT_EQ(mesh.network.counters().requests, asked) << "two were enough";
  mesh.providers = {numbered_peer(70), numbered_peer(80), numbered_peer(81)};
  result = find("sha256:aa", 3);
  EXPECT_EQ(result.rounds_to_provider, 0);
  EXPECT_EQ(result.providers, 3);
  ASSERT_EQ(seen.size(), 3);
  EXPECT_EQ(seen[2], numbered_peer(80)) << "each once";
  result = find("sha256:aa", 100);
  EXPECT_EQ(result.providers, 4);
  EXPECT_TRUE(result.complete);
}

TEST_F(KadNodeTest, FindsWhoIsNearestBeyondItsTable) {
  EXPECT_TRUE(node->table().is_complete());
  join();
  EXPECT_FALSE(node->table().is_complete());
  for (const auto* name : {"a", "b", "c", "d", "e", "f"}) {
    const auto bytes = as_bytes(name);
    const Bytes wire_key(bytes.begin(), bytes.end());
    LookupResult result;
    finish([&]() -> awaitable<void> { result = co_await node->find_nearest(wire_key); });
    ASSERT_GE(result.nearest.size(), 3U);
    EXPECT_EQ(result.nearest[0].id, mesh.nearest(Key::of(wire_key), 1)[0].id) << name;
  }
}

TEST_F(KadNodeTest, TellsWhoseRecordsItHolds) {
  EXPECT_TRUE(node->held_providers("sha256:aa").empty());
  ASSERT_TRUE(add("sha256:aa", 70));
  ASSERT_EQ(node->held_providers("sha256:aa").size(), 1U);
  EXPECT_EQ(node->held_providers("sha256:aa")[0].id, numbered_peer(70).id);
}

TEST_F(KadNodeTest, ACallerThatHasEnoughOrIsGoneEndsTheSearchAtOnce) {
  join();
  mesh.providers = {numbered_peer(80)};
  EXPECT_EQ(find("sha256:aa", 1).providers, 1);
  const auto for_one = mesh.asked_for_providers;
  EXPECT_LE(for_one, options.lookups.alpha);
  mesh.clock.run_for(seconds(30));
  EXPECT_EQ(mesh.asked_for_providers, for_one) << "it had enough";
  TaskGroup search(mesh.context.get_executor(), "search");
  std::size_t told = 0;
  search.spawn([&]() -> awaitable<void> {
    (void)co_await node->find_providers("sha256:aa", [&](const PeerInfo&) {
      ++told;
      return true;
    });
  });
  mesh.clock.run_until([&] { return told > 0; }, mesh.clock.now() + seconds(5));
  ASSERT_EQ(search.size(), 1);
  const auto before = mesh.asked_for_providers;
  const TimePoint cancelled = mesh.clock.now();
  search.cancel();
  EXPECT_TRUE(mesh.clock.run_until([&] { return search.size() == 0; }, cancelled + seconds(5)));
  EXPECT_EQ(mesh.clock.now(), cancelled);
  mesh.clock.run_for(seconds(30));
  EXPECT_EQ(mesh.asked_for_providers, before) << "it is gone";
  EXPECT_EQ(told, 1);
}

TEST_F(KadNodeTest, CountsRecordsByConnectionsWhateverIsClaimed) {
  stop();
  options.records.max_providers_of_a_key = 10;
  start();
  for (std::uint32_t i = 70; i < 75; ++i) ASSERT_TRUE(add("sha256:aa", i));
  for (std::uint32_t i = 0; i < 100; ++i) {
    mesh.network.place(numbered_peer(1000 + i).id, Ip(numbered_peer(999).addresses[0].ip()));
    ASSERT_TRUE(add("sha256:aa", 1000 + i));
  }
  EXPECT_EQ(find("sha256:aa", 100).providers, 10);
  for (std::uint32_t i = 70; i < 75; ++i) {
    EXPECT_TRUE(std::ranges::find(seen, numbered_peer(i)) != seen.end()) << i;
  }
}

TEST_F(KadNodeTest, NeverNamesAddressesThatAreNotAllowed) {
  join();
  PeerInfo both = numbered_peer(90);
  both.addresses.insert(both.addresses.begin(), kLoopback);
  PeerInfo loopback = numbered_peer(191);
  loopback.addresses = {kLoopback};
  mesh.providers = {loopback, both};
  EXPECT_EQ(find("sha256:aa", 9).providers, 1);
  EXPECT_EQ(seen, std::vector{numbered_peer(90)});
  node->consider(loopback);
  mesh.clock.run_for(seconds(30));
  EXPECT_EQ(node->table().find(loopback.id), nullptr);
}

TEST_F(KadNodeTest, TakesSendersWithAnAddressForCandidates) {
  Message ping;
  PeerInfo hidden = numbered_peer(5);
  hidden.addresses.clear();
  ASSERT_TRUE(node->handle(hidden, ping));
  ASSERT_TRUE(node->handle(numbered_peer(6), ping));
  mesh.down(7);
  ASSERT_TRUE(node->handle(numbered_peer(7), ping));
  mesh.clock.run_for(seconds(1));
  EXPECT_EQ(node->table().find(hidden.id), nullptr);
  EXPECT_NE(node->table().find(numbered_peer(6).id), nullptr);
  mesh.clock.run_for(seconds(30));
  EXPECT_EQ(node->table().find(numbered_peer(7).id), nullptr) << "it does not answer";
}

TEST_F(KadNodeTest, NoticesThatItIsCutOffAndThatItIsNot) {
  join();
  tasks->spawn([this] { return node->run(); });
  mesh.network.partition([](const PeerId&, const PeerId&) { return false; });
  node->provide({"sha256:aa"});
  // The lookups for the new key fail, are repeated, and each failure removes a peer.
  ASSERT_TRUE(
      mesh.clock.run_until([this] { return node->is_cut_off(); }, mesh.clock.now() + minutes(15)));
  mesh.network.partition({});
  mesh.clock.run_for(minutes(12));
  EXPECT_FALSE(node->is_cut_off()) << "those that failed are tried again";
}

TEST_F(KadNodeTest, ComesBackFromASnapshotWithoutASeed) {
  join();
  tasks->spawn([this] { return node->run(); });
  ASSERT_TRUE(add("sha256:aa", 70));
  node->provide({"sha256:bb"});
  mesh.clock.run_for(seconds(5));
  const Bytes snapshot = node->snapshot();
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    KadNode other(mesh.context.get_executor(), mesh.clock, rng, *rpc, numbered_peer(0).id, options);
    EXPECT_FALSE(other.restore(ByteView(snapshot).first(size))) << size;
  }
  stop();
  start();
  ASSERT_TRUE(node->restore(snapshot));
  node->provide({"sha256:bb"});
  EXPECT_EQ(node->untold_keys(), 0);
  EXPECT_EQ(node->provided_keys(), 1);
  EXPECT_EQ(node->records().records(), 1);
  EXPECT_EQ(find("sha256:aa", 1).rounds_to_provider, 0);
  finish([this]() -> awaitable<void> { EXPECT_TRUE(co_await node->join({})); });
  EXPECT_GE(node->table().size(), 40);
}

TEST_F(KadNodeTest, APeerThatNamesVeryManyCostsLittle) {
  // Each reply has thousands of providers, no two the same, and as many closer peers.
  std::uint32_t next = 1000;
  for (std::uint32_t number = 1; number <= 100; ++number) {
    mesh.network.attach(numbered_peer(number).id, [&](const PeerInfo&, const Message& request) {
      Message reply;
      reply.type = request.type;
      for (int i = 0; i < 20'000; ++i) {
        reply.closer_peers.push_back(numbered_peer(next));
        reply.provider_peers.push_back(numbered_peer(next++));
      }
      return Result<std::optional<Message>>(std::optional(std::move(reply)));
    });
    node->consider(numbered_peer(number));
  }
  mesh.clock.run_for(seconds(5));
  const TimePoint before = mesh.clock.now();
  const LookupResult result = find("sha256:aa", 1'000'000);
  EXPECT_LE(mesh.clock.now() - before, options.lookups.limit);
  EXPECT_LE(result.messages, options.lookups.max_queries);
  EXPECT_LE(result.providers, options.lookups.max_queries * kMaxProviderPeers);
}

}  // namespace
}  // namespace hagring::kad
