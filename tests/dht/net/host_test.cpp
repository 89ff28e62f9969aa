// SPDX-License-Identifier: Apache-2.0
#include "dht/net/host.hpp"

#include "dht/net/identify.hpp"
#include "dht/net/ping.hpp"
#include "tests/dht/net/hosts.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using HostTest = test::Hosts;
using test::kEcho;

TEST_F(HostTest, CarriesStreamsBothWaysOnOneConnection) {
  auto& a = add();
  auto& b = add();
  auto there = open(a, b);
  ASSERT_TRUE(there) << there.error().message();
  EXPECT_EQ(*exchange(**there, "hello"), "hello");
  auto back = run(b.open(a.peer_id(), {}, kEcho));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*exchange(**back, std::string(300'000, 'x')), std::string(300'000, 'x'));
  EXPECT_TRUE(a.connected(b.peer_id()));
  EXPECT_TRUE(b.connected(a.peer_id()));
  EXPECT_EQ(a.counters().connections, 1U);
  EXPECT_EQ(a.counters().inbound, 0U);
  EXPECT_EQ(b.counters().inbound, 1U);
  EXPECT_EQ(b.counters().streams, 2U);
  EXPECT_EQ(dialer.dials, 1U);
}

TEST_F(HostTest, BothSidesIdentifyThemselves) {
  auto& a = add();
  auto agent = options();
  agent.agent_version = "someone";
  auto& b = add(agent);
  std::vector<PeerId> told;
  b.on_identified([&](const PeerId& peer, const PeerAbout&) { told.push_back(peer); });
  EXPECT_EQ(*connect(a, b), b.peer_id());
  const auto* about = a.about(b.peer_id());
  ASSERT_TRUE(about);
  EXPECT_EQ(about->agent_version, "someone");
  EXPECT_EQ(about->addresses, std::vector{Multiaddr::of(b.endpoint())});
  EXPECT_EQ(about->protocols, (std::vector<std::string>{kIdentifyProtocol, kIdentifyPushProtocol,
                                                        kPingProtocol, kEcho}));
  ASSERT_TRUE(wait_for([&] { return b.about(a.peer_id()) != nullptr; }));
  EXPECT_EQ(b.about(a.peer_id())->addresses, std::vector{Multiaddr::of(a.endpoint())});
  EXPECT_EQ(told, std::vector{a.peer_id()});
}

TEST_F(HostTest, TellsConnectedPeersOfANewProtocol) {
  auto& a = add();
  auto& b = add();
  ASSERT_TRUE(connect(a, b));
  ASSERT_TRUE(wait_for([&] { return b.about(a.peer_id()) != nullptr; }));
  const auto count = [](const PeerAbout* about) { return about->protocols.size(); };
  b.serve("/new/1", [](Host::Inbound inbound) { return echo(std::move(inbound)); });
  a.serve("/newer/1", [](Host::Inbound inbound) { return echo(std::move(inbound)); });
  EXPECT_TRUE(wait_for([&] { return count(a.about(b.peer_id())) == 5; }));
  EXPECT_EQ(a.about(b.peer_id())->protocols.back(), "/new/1");
  EXPECT_TRUE(wait_for([&] { return count(b.about(a.peer_id())) == 5; }));
  EXPECT_EQ(a.about(b.peer_id())->addresses.size(), 1U);
}

TEST_F(HostTest, DropsWhatPeersSayOfLoopback) {
  auto careful = options();
  careful.may_dial = nullptr;
  auto& a = add(careful);
  auto& b = add();
  ASSERT_TRUE(connect(a, b));
  EXPECT_TRUE(a.about(b.peer_id())->addresses.empty());
  // Nor does a claim that comes another way make it dial there.
  auto& c = add();
  EXPECT_EQ(open(a, c).error(), Errc::unavailable);
  EXPECT_EQ(dialer.dials, 1U);
}

TEST_F(HostTest, AnswersPingsOnTwoStreamsOfAPeer) {
  auto& a = add();
  auto& b = add();
  const std::string block(32, 'p');
  auto first = open(a, b, kPingProtocol);
  auto second = open(a, b, kPingProtocol);
  ASSERT_TRUE(first && second);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*exchange(**first, block), block);
  EXPECT_EQ(*exchange(**second, block), block);
  auto third = open(a, b, kPingProtocol);
  EXPECT_FALSE(third && exchange(**third, block));
  // An end within a block ends the stream, and makes room.
  ASSERT_TRUE(run((*second)->shutdown_write()));
  Bytes one(1);
  EXPECT_EQ(run((*second)->read_some(one)).error(), Errc::end_of_stream);
  auto fourth = open(a, b, kPingProtocol);
  ASSERT_TRUE(fourth);
  EXPECT_EQ(*exchange(**fourth, block), block);
}

TEST_F(HostTest, RefusesAnUnknownProtocol) {
  auto& a = add();
  auto& b = add();
  EXPECT_EQ(open(a, b, "/unknown/1").error(), NetErrc::no_common_protocol);
  EXPECT_TRUE(open(a, b));
}

TEST_F(HostTest, LearnsWhoIsThere) {
  auto& a = add();
  auto& b = add();
  EXPECT_EQ(*connect(a, b), b.peer_id());
  EXPECT_EQ(*connect(a, b), b.peer_id());
  EXPECT_EQ(*connect(a, b, b.peer_id()), b.peer_id());
  EXPECT_EQ(dialer.dials, 1U);
  EXPECT_EQ(connect(a, a).error(), Errc::unavailable);
  EXPECT_EQ(run(a.open(a.peer_id(), {}, kEcho)).error(), Errc::unavailable);
  EXPECT_EQ(a.counters().connections, 1U);
}

TEST_F(HostTest, RefusesAnotherPeerThanTheOneDialled) {
  auto& a = add();
  auto& b = add();
  auto& c = add();
  testing::internal::CaptureStderr();
  EXPECT_EQ(connect(a, b, c.peer_id()).error(), NetErrc::wrong_peer);
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("dialled " + c.peer_id().to_string() + ", reached " + b.peer_id().to_string()),
            std::string::npos)
      << log;
  EXPECT_EQ(run(a.open(c.peer_id(), {Multiaddr::of(b.endpoint())}, kEcho)).error(),
            NetErrc::wrong_peer);
  EXPECT_TRUE(wait_for([&] { return b.counters().failed_handshakes == 2; }));
  EXPECT_EQ(a.counters().failed_dials, 2U);
}

TEST_F(HostTest, NoticesThatAPeerHasGone) {
  auto& a = add();
  auto& b = add();
  auto stream = open(a, b);
  ASSERT_TRUE(stream);
  stop(b);
  EXPECT_TRUE(wait_for([&] { return !a.connected(b.peer_id()); }));
  EXPECT_EQ(a.about(b.peer_id()), nullptr);
  Bytes one(1);
  EXPECT_EQ(run((*stream)->read_some(one)).error(), NetErrc::session_closed);
  EXPECT_FALSE(open(a, b));
}

TEST_F(HostTest, SeesIpv4PeersAsSuchOnASocketOfBothFamilies) {
  auto everywhere = options();
  everywhere.listen = {asio::ip::tcp::v6(), 0};
  auto& a = add(everywhere);
  std::optional<asio::ip::address> seen;
  a.serve("/who/1", [&](Host::Inbound inbound) -> awaitable<void> {
    seen = inbound.remote.address();
    co_return;
  });
  auto& b = add();
  const asio::ip::tcp::endpoint loopback(asio::ip::make_address("127.0.0.1"), a.endpoint().port());
  EXPECT_TRUE(run(b.open(a.peer_id(), {Multiaddr::of(loopback)}, "/who/1")));
  EXPECT_TRUE(wait_for([&] { return seen.has_value(); }));
  EXPECT_EQ(seen, asio::ip::make_address("127.0.0.1"));
}

TEST_F(HostTest, TellsItsInterfacesWhenItListensOnAllOfThem) {
  auto everywhere = options();
  everywhere.listen = {asio::ip::tcp::v6(), 0};
  auto& a = add(everywhere);
  for (const auto& address : a.addresses()) {
    const auto where = address.tcp_endpoint();
    ASSERT_TRUE(where);
    EXPECT_FALSE(where->address().is_loopback() || where->address().is_unspecified());
    EXPECT_EQ(where->port(), a.endpoint().port());
  }
  auto advertised = options();
  advertised.advertised = {asio::ip::make_address("192.0.2.7")};
  auto& b = add(advertised);
  EXPECT_EQ(b.addresses(),
            (std::vector{Multiaddr::of({advertised.advertised[0], b.endpoint().port()})}));
}

}  // namespace
}  // namespace hagring::dht
