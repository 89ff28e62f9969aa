// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/herd_mesh.hpp"

#include <gtest/gtest.h>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPeerPort = 5000;

/// A node, and what its herds hear.
struct Member {
  Member(asio::io_context& context, Clock& clock, Dialer& dialer, Resolver& resolver,
         std::vector<dht::Multiaddr> knows, bool in_herds) {
    dht::NodeOptions options;
    options.host.listen = {asio::ip::make_address("127.0.0.1"), 0};
    options.host.may_dial = [](const asio::ip::address&) { return true; };
    options.bootstrap.peers = std::move(knows);
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

  Member& add(bool in_herds = true) {
    std::vector<dht::Multiaddr> knows;
    if (!members.empty()) knows.push_back(dht::Multiaddr::of(members[0]->node->endpoint()));
    members.push_back(
        std::make_unique<Member>(context, clock, dialer, resolver, std::move(knows), in_herds));
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
