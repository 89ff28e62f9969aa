// SPDX-License-Identifier: Apache-2.0
// Members of a mesh ask each other.
#include "userspace/agent/mesh_gate.hpp"

#include <gmock/gmock.h>

#include "dht/net/error.hpp"
#include "registry/fetcher.hpp"
#include "tests/agent/gated_peer.hpp"
#include "tests/support/static_router.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// What asks the server under the name "peer".
struct Asking {
  explicit Asking(GatedPeer& test)
      : router({{.name = "peer",
                 .address = test.server->endpoint(),
                 .identity = test.server_identity.peer_id().to_string()}}),
        conduct(test.clock),
        fetcher(test.clock, test.member, router, conduct) {}

  static registry::ContentRequest request(registry::Digest digest) {
    return {.registry = "docker.io",
            .repository = "library/nginx",
            .digest = std::move(digest),
            .accept = {}};
  }

  registry::StaticRouter router;
  registry::Conduct conduct;
  registry::Fetcher fetcher;
};

TEST_F(GatedPeer, AMemberGetsBlobsAndRangesOverOneConnection) {
  start();
  for (int i = 0; i < 2; ++i) {
    const auto whole = get();
    ASSERT_TRUE(whole) << whole.error().message();
    EXPECT_EQ(whole->head.status, 200U);
    EXPECT_TRUE(whole->body == content);
    const auto part = get({{"Range", "bytes=1000000-7999999"}});
    ASSERT_TRUE(part) << part.error().message();
    EXPECT_EQ(part->head.status, 206U);
    EXPECT_TRUE(part->body == content.substr(1'000'000, 7'000'000));
  }
  EXPECT_EQ(server->connections().accepted, 1U);
  EXPECT_EQ(server->connections().turned_away, 0U);
  EXPECT_EQ(member.idle_connections(), 1U);
}

TEST_F(GatedPeer, ManyMembersAtOnce) {
  start();
  int right = 0;
  TaskGroup members(context.get_executor(), "members");
  for (int i = 0; i < 20; ++i) {
    members.spawn([&]() -> awaitable<void> {
      const auto answer = co_await fetch(member, named());
      right += answer && answer->body == content;
    });
  }
  test::run(context, members.drain());
  EXPECT_EQ(right, 20);
}

TEST_F(GatedPeer, APeerThatIsNotTheOneNamedIsNotAsked) {
  start();
  const auto other = dht::Identity::generate().peer_id().to_string();
  EXPECT_EQ(get(member, server_as(other)).error(), dht::NetErrc::wrong_peer);
  EXPECT_EQ(get(member, server_as("not a peer ID")).error(), Errc::unavailable);
  wait_until([this] { return server->open_connections() == 0; });
  EXPECT_EQ(server->requests().served + server->requests().refused, 0U);
  // A connection of the right name isn't taken for the wrong one.
  ASSERT_TRUE(get());
  EXPECT_EQ(get(member, server_as(other)).error(), dht::NetErrc::wrong_peer);
}

TEST_F(GatedPeer, APeerWithoutIdentityIsNotEvenDialled) {
  start();
  EXPECT_EQ(get(member, server_as("")).error(), Errc::unavailable);
  EXPECT_EQ(server->connections().accepted, 0U);
}

TEST_F(GatedPeer, APeerOfAnotherMeshIsOutOfReachAndPeopleAreToldWhy) {
  const auto stranger_key = filled(8);
  make_gate = [&] { return std::make_unique<MeshGate>(server_identity, stranger_key, clock); };
  start();
  Asking asking(*this);
  const auto size = test::run(
      context, asking.fetcher.size_of(
                   asking.request(*registry::Digest::parse("sha256:" + std::string(64, 'a')))));
  EXPECT_EQ(size.error(), Errc::not_found);
  const auto key = "peer " + server_identity.peer_id().to_string();
  EXPECT_FALSE(asking.conduct.may_ask(key));
  EXPECT_TRUE(asking.conduct.may_ask("peer another"));  // who has the same address
  const auto paused = asking.conduct.paused();
  ASSERT_EQ(paused.size(), 1U);
  EXPECT_EQ(paused[0].peer, key);
  EXPECT_THAT(paused[0].reason, testing::HasSubstr("compare the mesh keys"));
  wait_until([this] { return server->connections().turned_away == 1; });
  EXPECT_EQ(server->requests().not_found, 0U);
}

TEST_F(GatedPeer, TheFetcherNamesPeersToTheGate) {
  start();
  Asking asking(*this);
  const auto request = asking.request(store.add("small"));
  const auto read = [&]() -> awaitable<Result<std::string>> {
    CO_TRY(auto stream, co_await asking.fetcher.open(request, {.first = 1}, {}));
    Bytes buffer(100);
    CO_TRY(const auto read_bytes, co_await stream.read(buffer));
    co_return std::string(as_text(ByteView(buffer).first(read_bytes)));
  };
  const auto bytes = test::run(context, read());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, "mall");
}

TEST_F(GatedPeer, AServerThatHasGoneMeanwhileIsAskedAnewOnAnotherConnection) {
  options.idle_limit = 50ms;
  start();
  ASSERT_TRUE(get());
  ASSERT_EQ(member.idle_connections(), 1U);
  wait_until([this] { return server->open_connections() == 0; });
  ASSERT_TRUE(get());
  EXPECT_EQ(server->connections().accepted, 2U);
}

TEST_F(GatedPeer, AClientBehindAGateTellsAPlainServerNothing) {
  make_gate = {};
  start();
  EXPECT_FALSE(get());
  EXPECT_EQ(server->requests().served + server->requests().not_found, 0U);
  EXPECT_EQ(server->requests().refused, 1U);  // a ClientHello is no HTTP
}

TEST_F(GatedPeer, WithoutGatesPeersSpeakPlainHttp) {
  make_gate = {};
  start();
  registry::UpstreamClient plain(clock, dialer, nullptr, {});
  const auto answer = get(plain, named());
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == content);
}

TEST_F(GatedPeer, DrainLetsAMembersBodyEndAndIdleMembersGo) {
  options.drain_limit = 20s;
  start();
  ASSERT_TRUE(get());  // idle from here on
  const auto begun_and_drained = [&]() -> awaitable<Result<std::size_t>> {
    registry::UpstreamClient other(clock, dialer, nullptr, {}, &member_gate);
    CO_TRY(auto exchange, co_await other.send(named(), make_request("GET", path)));
    TaskGroup draining(context.get_executor(), "drain");
    draining.spawn([this] { return server->drain(); });
    Bytes buffer(256 * 1024);
    std::size_t total = 0;
    while (const auto size = co_await exchange.connection().read_body(buffer)) {
      if (*size == 0) break;
      total += *size;
    }
    co_await draining.drain();
    co_return total;
  };
  const auto begun = clock.now();
  EXPECT_EQ(*test::run(context, begun_and_drained()), content.size());
  EXPECT_LT(clock.now() - begun, 10s);
}

}  // namespace
}  // namespace hagring::agent
