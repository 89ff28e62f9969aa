// SPDX-License-Identifier: Apache-2.0
// Whole nodes over real sockets on loopback.
#include "dht/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;
using tcp = asio::ip::tcp;

constexpr auto kDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct NodeTest : testing::Test {
  NodeTest() { std::filesystem::create_directories(folder); }
  ~NodeTest() override {
    for (auto& node : nodes) stop(*node);
    std::filesystem::remove_all(folder);
  }

  /// A node that joins by those before it that `knows` names.
  Node& make(std::vector<Node*> knows, NodeOptions options = {}) {
    options.host.listen = {asio::ip::make_address("127.0.0.1"), 0};
    options.host.may_dial = [](const asio::ip::address&) { return true; };
    options.joining.first_retry = 50ms;
    // All are at one address here, which in a cluster would be many identities of one machine.
    options.kad.table.same_ip_in_bucket = options.kad.table.same_ip_in_table = 100;
    for (const auto* known : knows) {
      options.bootstrap.peers.push_back(Multiaddr::of(known->endpoint()));
    }
    identities.push_back(std::make_unique<Identity>(Identity::generate()));
    nodes.push_back(std::make_unique<Node>(context.get_executor(), clock, *identities.back(),
                                           dialer, resolver, std::move(options)));
    return *nodes.back();
  }

  Node& start(std::vector<Node*> knows, NodeOptions options = {}) {
    auto& node = make(std::move(knows), std::move(options));
    node.start();
    return node;
  }

  void stop(Node& node) { test::run(context, node.stop()); }

  void stop_and_forget(Node& node) {
    stop(node);
    std::erase_if(nodes, [&](const auto& owned) { return owned.get() == &node; });
  }

  /// Waits until `holds` does.
  bool wait(std::function<bool()> holds, Duration limit = 10s) {
    const auto end = clock.now() + limit;
    context.restart();
    while (!holds() && clock.now() < end) {
      if (context.run_one_for(10ms) == 0) context.restart();
    }
    return holds();
  }

  bool wait_for_table(const Node& node, std::size_t size, Duration limit = 10s) {
    return wait([&] { return node.status().table.size() >= size; }, limit);
  }

  bool wait_until_told(const Node& node) {
    return wait([&] { return node.status().untold_keys == 0; });
  }

  std::vector<PeerId> providers(Node& node, std::string key) {
    std::vector<PeerId> found;
    test::run(context, node.find_providers(std::move(key), [&](const Provider& provider) {
      found.push_back(provider.peer);
      return true;
    }));
    return found;
  }

  asio::io_context context;
  SystemClock clock;
  SystemResolver resolver;
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  std::string folder = testing::TempDir() + "hagring_node_" + std::to_string(getpid());
  std::vector<std::unique_ptr<Identity>> identities;
  std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(NodeTest, TwoFindEachOtherWithinASecondOfTheSecondsStart) {
  auto& a = start({});
  auto& b = start({&a});
  EXPECT_TRUE(wait_for_table(a, 1, 1s));
  EXPECT_TRUE(wait_for_table(b, 1, 1s));
  EXPECT_EQ(a.status().table[0].peer_id, b.peer_id().to_string());
  EXPECT_TRUE(a.status().table[0].connected);
}

TEST_F(NodeTest, EachFindsWhatTheOtherProvides) {
  auto& a = start({});
  auto& b = start({&a});
  a.provide({kDigest});
  b.provide({"docker.io/library/nginx:1.27"});
  ASSERT_TRUE(wait_for_table(a, 1) && wait_for_table(b, 1));
  ASSERT_TRUE(wait_until_told(a) && wait_until_told(b));
  EXPECT_TRUE(wait([&] { return providers(b, kDigest) == std::vector{a.peer_id()}; }));
  EXPECT_TRUE(wait(
      [&] { return providers(a, "docker.io/library/nginx:1.27") == std::vector{b.peer_id()}; }));
  EXPECT_THAT(providers(a, "docker.io/library/nginx:1.28"), ElementsAre());
  // What a node provides itself it isn't told of.
  EXPECT_THAT(providers(a, kDigest), ElementsAre());
  EXPECT_TRUE(a.provides(kDigest));
  EXPECT_FALSE(b.provides(kDigest));
}

TEST_F(NodeTest, AThirdIsFoundThroughTheSecond) {
  auto& a = start({});
  auto& b = start({&a});
  a.provide({kDigest});
  ASSERT_TRUE(wait_for_table(a, 1) && wait_until_told(a));
  auto& c = start({&b});
  ASSERT_TRUE(wait_for_table(c, 2)) << "c hears of a from b";
  EXPECT_THAT(providers(c, kDigest), ElementsAre(a.peer_id()));
}

TEST_F(NodeTest, WithdrawnKeysAreForgottenByTheirOwner) {
  auto& a = start({});
  a.provide({kDigest});
  EXPECT_TRUE(a.provides(kDigest));
  a.withdraw({kDigest});
  EXPECT_FALSE(a.provides(kDigest));
  EXPECT_EQ(a.status().provided_keys, 0U);
}

TEST_F(NodeTest, ASearchEndsWhenItsCallerHasEnough) {
  auto& a = start({});
  auto& b = start({&a});
  auto& c = start({&a});
  a.provide({kDigest});
  b.provide({kDigest});
  ASSERT_TRUE(wait_for_table(c, 2) && wait_for_table(a, 2) && wait_for_table(b, 2));
  ASSERT_TRUE(wait_until_told(a) && wait_until_told(b));
  ASSERT_TRUE(wait([&] { return providers(c, kDigest).size() == 2; }));
  std::size_t told = 0;
  test::run(context, c.find_providers(kDigest, [&](const Provider&) {
    ++told;
    return false;
  }));
  EXPECT_EQ(told, 1U);
}

TEST_F(NodeTest, RecordsOutliveARestart) {
  const auto file = std::filesystem::path(folder) / "records";
  auto& a = start({});
  auto& b = start({&a}, {.records_file = file});
  a.provide({kDigest});
  ASSERT_TRUE(wait_for_table(a, 1) && wait_until_told(a));
  ASSERT_TRUE(wait([&] { return b.status().records == 1; }));
  stop_and_forget(b);
  ASSERT_TRUE(std::filesystem::exists(file));
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto& again = start({}, {.records_file = file});
  EXPECT_EQ(again.status().records, 1U);
  // It also remembers whom it knew.
  EXPECT_TRUE(wait_for_table(again, 1));
}

TEST_F(NodeTest, OneThatOnlyBoundLeavesTheRecordsOfTheLastRun) {
  const auto file = std::filesystem::path(folder) / "records";
  std::ofstream(file) << "of the last run";
  auto& a = make({}, {.records_file = file});
  a.bind();
  EXPECT_NE(a.endpoint().port(), 0);
  stop_and_forget(a);
  std::string kept;
  std::getline(std::ifstream(file) >> std::ws, kept);
  EXPECT_EQ(kept, "of the last run");
}

TEST_F(NodeTest, ARecordsFileThatIsNoneIsNoFailure) {
  const auto file = std::filesystem::path(folder) / "records";
  std::ofstream(file) << "nonsense";
  auto& a = start({}, {.records_file = file});
  EXPECT_EQ(a.status().records, 0U);
}

TEST_F(NodeTest, MembersOfAPrivateNetworkMeetAndOthersDoNot) {
  NetworkKey key{};
  key[0] = 1;
  NetworkKey other{};
  other[0] = 2;
  auto& a = start({}, {.host = {.network_key = key}});
  a.provide({kDigest});
  auto& member = start({&a}, {.host = {.network_key = key}});
  auto& stranger = start({&a}, {.host = {.network_key = other}});
  auto& naive = start({&a});
  EXPECT_TRUE(wait_for_table(member, 1));
  EXPECT_TRUE(wait([&] { return stranger.status().host.failed_dials > 1; }));
  EXPECT_TRUE(wait([&] { return naive.status().host.failed_dials > 1; }));
  EXPECT_GT(a.status().host.failed_handshakes, 0U);
  EXPECT_TRUE(stranger.status().table.empty());
  EXPECT_TRUE(naive.status().table.empty());
  EXPECT_EQ(a.status().table.size(), 1U);
  EXPECT_TRUE(a.status().closed);
}

TEST_F(NodeTest, AloneItAsksTheBootstrapUntilSomebodyIsThere) {
  // A place where nobody listens yet.
  tcp::acceptor place(context, {asio::ip::make_address("127.0.0.1"), 0});
  const auto later = place.local_endpoint();
  place.close();
  NodeOptions options;
  options.bootstrap.peers = {Multiaddr::of(later)};
  options.joining.longest_retry = 200ms;
  auto& early = start({}, std::move(options));
  ASSERT_TRUE(wait([&] { return early.status().host.failed_dials > 1; }));
  identities.push_back(std::make_unique<Identity>(Identity::generate()));
  NodeOptions there;
  there.host.listen = later;
  there.host.may_dial = [](const asio::ip::address&) { return true; };
  nodes.push_back(std::make_unique<Node>(context.get_executor(), clock, *identities.back(), dialer,
                                         resolver, std::move(there)));
  nodes.back()->start();
  EXPECT_TRUE(wait_for_table(early, 1));
}

TEST_F(NodeTest, APortThatIsTakenIsAStartError) {
  tcp::acceptor taken(context, {asio::ip::make_address("127.0.0.1"), 0});
  NodeOptions options;
  options.host.listen = taken.local_endpoint();
  const Identity identity = Identity::generate();
  Node node(context.get_executor(), clock, identity, dialer, resolver, std::move(options));
  EXPECT_THROW(node.start(), StartError);
}

}  // namespace
}  // namespace hagring::dht
