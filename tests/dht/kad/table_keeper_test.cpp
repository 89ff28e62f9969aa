// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/table_keeper.hpp"

#include <gtest/gtest.h>

#include "dht/kad/preimage.hpp"
#include "dht/sim/network.hpp"
#include "dht/sim/peers.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using std::chrono::minutes;
using std::chrono::seconds;

class KadTableKeeper : public testing::Test {
 protected:
  ~KadTableKeeper() override {
    tasks.cancel();
    tasks.spawn([this]() -> awaitable<void> { co_await keeper.stop(); });
    clock.run_for(minutes(1));
  }

  /// A peer that answers everything, and names nobody.
  void up(std::uint32_t number) {
    network.attach(numbered_peer(number).id, [](const PeerInfo&, const Message& request) {
      Message reply;
      reply.type = request.type;
      return Result<std::optional<Message>>(std::optional(reply));
    });
  }

  bool knows(std::uint32_t number) const { return table.find(numbered_peer(number).id) != nullptr; }

  asio::io_context context;
  sim::SimClock clock{context};
  sim::SimNetwork network{clock, 7, {.wire = true}};
  std::unique_ptr<Rpc> rpc = network.rpc(numbered_peer(0));
  Rng rng{7};
  RoutingTable table{numbered_peer(0).id, {}};
  TableKeeper keeper{context.get_executor(), clock, rng, *rpc, table, {}, {}};
  TaskGroup tasks{context.get_executor(), "test"};
};

TEST_F(KadTableKeeper, AdmitsThoseThatAnswerOnly) {
  up(1);
  for (std::uint32_t i = 1; i <= 40; ++i) keeper.consider(numbered_peer(i));
  EXPECT_EQ(table.size(), 0);
  clock.run_for(minutes(2));
  EXPECT_TRUE(knows(1));
  EXPECT_EQ(table.size(), 1);
}

TEST_F(KadTableKeeper, CountsByConnectionsWhateverIsClaimed) {
  // One machine with an identity at each of many addresses; none of them is its own.
  for (std::uint32_t i = 100; i < 160; ++i) {
    up(i);
    network.place(numbered_peer(i).id, Ip(numbered_peer(99).addresses[0].ip()));
    keeper.consider(numbered_peer(i));
    clock.run_for(seconds(1));
  }
  EXPECT_LE(table.size(), 3);
  EXPECT_GE(table.size(), 1);
  // Nor does it take the places of those whose addresses it claims.
  for (std::uint32_t i = 100; i < 105; ++i) {
    PeerInfo other = numbered_peer(i);
    other.id = numbered_peer(500 + i).id;
    up(500 + i);
    network.place(other.id, other.claimed_ip());
    keeper.consider(other);
    clock.run_for(seconds(1));
    EXPECT_TRUE(knows(500 + i));
  }
}

TEST_F(KadTableKeeper, AGrownTableTakesNoneThatKnowsNobody) {
  for (std::uint32_t i = 1; i <= 21; ++i) table.admit(numbered_peer(i), clock.now());
  const std::size_t before = table.size();
  ASSERT_GE(before, 20);
  for (std::uint32_t i = 100; i < 110; ++i) {
    up(i);
    keeper.consider(numbered_peer(i));
  }
  clock.run_for(minutes(1));
  EXPECT_EQ(table.size(), before);
}

TEST_F(KadTableKeeper, RemovesTheDeadAndTriesThemAgain) {
  up(1);
  keeper.answered(numbered_peer(1));
  EXPECT_TRUE(knows(1));
  network.detach(numbered_peer(1).id);
  tasks.spawn([this] { return keeper.run(); });
  clock.run_for(minutes(40));
  EXPECT_FALSE(knows(1)) << "a silent peer is asked";
  up(1);
  clock.run_for(minutes(15));
  EXPECT_TRUE(knows(1)) << "a partition that heals needs no bootstrap";
}

TEST_F(KadTableKeeper, JoinsThroughASeed) {
  up(1);
  bool joined = false;
  tasks.spawn([&]() -> awaitable<void> { joined = co_await keeper.join({numbered_peer(1)}); });
  clock.run_for(seconds(1));
  EXPECT_TRUE(joined);
  EXPECT_TRUE(knows(1));
}

TEST(Preimage, HashesIntoTheRegion) {
  Rng rng(3);
  for (std::size_t bits : {0, 1, 5, 12, 14}) {
    const Key target = rng.key();
    const Bytes wire = wire_key_near(target, bits);
    EXPECT_GE(common_prefix_length(Key::of(wire), target), bits);
    EXPECT_EQ(wire.size(), 34);
  }
}

}  // namespace
}  // namespace hagring::kad
