// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/herd_mesh.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPeerPort = 5000;

/// A node, and what its herds hear.
struct Member {
  Member(asio::io_context& context, Clock& clock, Dialer& dialer, Resolver& resolver,
         std::vector<dht::Multiaddr> knows, bool in_herds, std::size_t bucket_size) {
    dht::NodeOptions options;
    options.host.listen = {asio::ip::make_address("127.0.0.1"), 0};
    options.host.may_dial = [](const asio::ip::address&) { return true; };
    options.bootstrap.peers = std::move(knows);
    options.kad.table.bucket_size = bucket_size;
    options.kad.table.same_ip_in_bucket = options.kad.table.same_ip_in_table = 100;
    node.emplace(context.get_executor(), clock, identity, dialer, resolver, std::move(options));
    mesh.emplace(context.get_executor(), clock, *node, [] { return kPeerPort; });
    if (in_herds) {
      mesh->begin(
          {.received = [this](const herd::NodeId& from,
                              herd::Message message) { got.emplace_back(from, message); },
           .member_lost = [this](const herd::NodeId& lost) { members_lost.push_back(lost); },
           .coordinator_lost =
               [this](const herd::NodeId& lost) { coordinators_lost.push_back(lost); }});
    }
    node->start();
  }

  herd::NodeId id() const { return to_herd(identity.peer_id()); }
  awaitable<void> stop() {
    if (std::exchange(stopped, true)) co_return;
    co_await mesh->stop();
    co_await node->stop();
  }

  dht::Identity identity = dht::Identity::generate();
  std::optional<dht::Node> node;
  std::optional<HerdMesh> mesh;
  std::vector<std::pair<herd::NodeId, herd::Message>> got;
  std::vector<herd::NodeId> members_lost, coordinators_lost;
  bool stopped = false;
};

struct HerdMeshTest : testing::Test {
  ~HerdMeshTest() override {
    for (auto& member : members) test::run(context, member->stop());
  }

  Member& add(bool in_herds = true, std::size_t bucket_size = 20) {
    std::vector<dht::Multiaddr> knows;
    if (!members.empty()) knows.push_back(dht::Multiaddr::of(members[0]->node->endpoint()));
    members.push_back(std::make_unique<Member>(context, clock, dialer, resolver, std::move(knows),
                                               in_herds, bucket_size));
    return *members.back();
  }

  /// Lets things happen until `condition`.
  bool until(std::function<bool()> condition) {
    const auto end = clock.now() + 20s;
    while (!condition() && clock.now() < end) test::run(context, clock.sleep_for(5ms));
    return condition();
  }

  bool knows(Member& member, std::size_t nodes) {
    return until([&] { return member.mesh->nearest(herd::place_of(herd), 8).size() == nodes; });
  }

  asio::io_context context;
  SystemClock clock;
  SystemResolver resolver;
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  std::vector<std::unique_ptr<Member>> members;
  herd::HerdId herd{.digest = *registry::Digest::parse("sha256:" + std::string(64, 'a'))};
};

TEST_F(HerdMeshTest, CarriesMessagesBothWaysOnTheStreamOfWhoJoins) {
  auto& coordinator = add();
  auto& member = add();
  ASSERT_TRUE(knows(member, 2));
  member.mesh->send(coordinator.id(), {herd, herd::Join{.size = 7, .may_fetch = true}});
  ASSERT_TRUE(until([&] { return !coordinator.got.empty(); }));
  EXPECT_EQ(coordinator.got[0].first, member.id());
  EXPECT_EQ(coordinator.got[0].second,
            (herd::Message{herd, herd::Join{.size = 7, .may_fetch = true}}));
  coordinator.mesh->send(member.id(), {herd, herd::Fetch{.epoch = 3}});
  ASSERT_TRUE(until([&] { return !member.got.empty(); }));
  EXPECT_EQ(member.got[0].first, coordinator.id());
  EXPECT_EQ(coordinator.mesh->streams(), 1U);
  EXPECT_EQ(member.mesh->streams(), 1U);
}

TEST_F(HerdMeshTest, TellsBothSidesWhenTheStreamEnds) {
  auto& coordinator = add();
  auto& member = add();
  ASSERT_TRUE(knows(member, 2));
  member.mesh->send(coordinator.id(), {herd, herd::Join{}});
  ASSERT_TRUE(until([&] { return !coordinator.got.empty(); }));
  test::run(context, member.stop());
  ASSERT_TRUE(until([&] { return !coordinator.members_lost.empty(); }));
  EXPECT_EQ(coordinator.members_lost, std::vector{member.id()});
  // An order has no stream of its own: who has gone isn't called back.
  coordinator.mesh->send(member.id(), {herd, herd::Wait{}});
  EXPECT_EQ(coordinator.mesh->streams(), 0U);
}

TEST_F(HerdMeshTest, TellsOfACoordinatorThatDies) {
  auto& coordinator = add();
  auto& member = add();
  ASSERT_TRUE(knows(member, 2));
  member.mesh->send(coordinator.id(), {herd, herd::Join{}});
  ASSERT_TRUE(until([&] { return !coordinator.got.empty(); }));
  test::run(context, coordinator.stop());
  ASSERT_TRUE(until([&] { return !member.coordinators_lost.empty(); }));
  EXPECT_EQ(member.coordinators_lost[0], coordinator.id());
}

TEST_F(HerdMeshTest, LeavesOutNodesThatDontSpeakTheProtocol) {
  auto& stranger = add(false);
  auto& member = add();
  ASSERT_TRUE(until([&] { return member.node->status().table.size() == 1; }));
  member.mesh->send(stranger.id(), {herd, herd::Join{}});
  ASSERT_TRUE(until([&] { return !member.coordinators_lost.empty(); }));
  EXPECT_EQ(member.mesh->nearest(herd::place_of(herd), 8), std::vector{member.id()});
}

TEST_F(HerdMeshTest, SaysWhereAPeerServerIs) {
  auto& one = add();
  auto& other = add();
  ASSERT_TRUE(knows(other, 2));
  const auto peer = other.mesh->whereabouts(one.id());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->address, asio::ip::tcp::endpoint(asio::ip::make_address("127.0.0.1"), kPeerPort));
  EXPECT_EQ(peer->identity, one.identity.peer_id().to_string());
  EXPECT_FALSE(other.mesh->whereabouts(to_herd(dht::Identity::generate().peer_id())));
  EXPECT_FALSE(other.mesh->whereabouts("no peer ID"));
}

TEST_F(HerdMeshTest, WhereTheTableKnowsEverybodyNobodyIsSearched) {
  add();
  auto& member = add();
  ASSERT_TRUE(knows(member, 2));
  test::run(context, member.mesh->get_to_know(herd));
  EXPECT_EQ(member.mesh->searches(), 0U);
}

TEST_F(HerdMeshTest, FindsWhoIsNearestInALargerMeshByOneSearch) {
  constexpr std::size_t kNodes = 12;
  for (std::size_t i = 0; i < kNodes; ++i) add(true, 2);
  auto& member = *members.back();
  ASSERT_TRUE(until([&] {
    return std::ranges::all_of(members, [](const auto& one) {
      return one->mesh->nearest(herd::Key{}, kNodes).size() > 3;
    });
  }));
  std::vector<herd::NodeId> all;
  for (const auto& one : members) all.push_back(one->id());
  std::size_t asked = 0;
  const auto finds_nearest = [&] {
    herd::HerdId one{.digest = *registry::Digest::parse(fmt::format("sha256:{:064}", asked++))};
    const auto place = herd::place_of(one);
    test::run(context, member.mesh->get_to_know(one));
    const bool right = member.mesh->nearest(place, 1) == herd::rank(place, all, 1);
    // Known now.
    test::run(context, member.mesh->get_to_know(one));
    return right;
  };
  // Tables of those that have just come may still be filling.
  EXPECT_TRUE(until([&] {
    int right = 0;
    for (int i = 0; i < 8; ++i) right += finds_nearest() ? 1 : 0;
    return right >= 7;
  }));
  EXPECT_EQ(member.mesh->searches(), asked);
}

TEST_F(HerdMeshTest, OneSearchServesThoseThatComeMeanwhile) {
  for (std::size_t i = 0; i < 12; ++i) add(true, 2);
  auto& member = *members.back();
  ASSERT_TRUE(until([&] { return member.mesh->nearest(herd::Key{}, 12).size() > 3; }));
  ASSERT_FALSE(member.node->knows_everybody());
  TaskGroup tasks(context.get_executor(), "searches");
  for (int i = 0; i < 3; ++i) tasks.spawn([&] { return member.mesh->get_to_know(herd); });
  test::run(context, tasks.drain());
  EXPECT_EQ(member.mesh->searches(), 1U);
}

TEST_F(HerdMeshTest, KnowsWhoHasTheWholeBlob) {
  auto& keeper = add();
  auto& provider = add();
  ASSERT_TRUE(knows(keeper, 2));
  ASSERT_TRUE(knows(provider, 2));
  EXPECT_TRUE(keeper.mesh->holders(herd).empty());
  provider.node->provide({herd.digest.to_string()});
  EXPECT_EQ(provider.mesh->holders(herd), std::vector{provider.id()});
  EXPECT_TRUE(until([&] { return keeper.mesh->holders(herd) == std::vector{provider.id()}; }));
}

TEST(HerdNotary, KnowsWhoSigned) {
  const auto identity = dht::Identity::generate();
  HerdNotary notary(identity);
  const auto text = as_bytes("some pieces");
  auto signature = notary.sign(text);
  const auto self = to_herd(identity.peer_id());
  EXPECT_TRUE(notary.verify(self, text, signature));
  EXPECT_FALSE(notary.verify(to_herd(dht::Identity::generate().peer_id()), text, signature));
  EXPECT_FALSE(notary.verify(self, as_bytes("other pieces"), signature));
  EXPECT_FALSE(notary.verify("", text, signature));
  signature[0] ^= 1;
  EXPECT_FALSE(notary.verify(self, text, signature));
}

}  // namespace
}  // namespace hagring::agent
