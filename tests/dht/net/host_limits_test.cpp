// SPDX-License-Identifier: Apache-2.0
#include "dht/net/identify.hpp"
#include "tests/dht/net/hosts.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using test::kEcho;

/// Time stands still, so that nothing rests for long by itself.
struct HostLimits : test::Hosts {
  HostLimits() {
    clock = &manual;
    testing::internal::CaptureStderr();
    capturing = true;
  }
  ~HostLimits() override { log(); }

  std::string log() {
    return std::exchange(capturing, false) ? testing::internal::GetCapturedStderr() : "";
  }
  void expect_log(std::string_view text) {
    const auto all = log();
    EXPECT_NE(all.find(text), std::string::npos) << all;
  }
  /// A connection without streams, once both sides have identified themselves.
  Host& add_connected(Host& to) {
    auto& from = add();
    EXPECT_TRUE(connect(from, to));
    EXPECT_TRUE(wait_for([&] { return to.about(from.peer_id()) != nullptr; }));
    return from;
  }
  static bool is_ended(asio::ip::tcp::socket& socket) {
    socket.non_blocking(true);
    std::array<char, 4096> bytes{};
    error_code error;
    while (!error) socket.read_some(asio::buffer(bytes), error);
    return error != asio::error::would_block;
  }
  bool refuses(Host& host, Host& from) {
    const auto refused = host.counters().refused;
    (void)connect(from, host);
    return wait_for([&] { return host.counters().refused == refused + 1; }) &&
           !host.connected(from.peer_id());
  }

  bool capturing = false;
};

TEST_F(HostLimits, OfConnectionsRefusesANewOneWhileTheOthersAreFresh) {
  auto few = options();
  few.max_connections = 2;
  auto& host = add(few);
  auto& first = add_connected(host);
  manual.advance(1s);
  add_connected(host);
  EXPECT_TRUE(refuses(host, add()));
  EXPECT_EQ(host.counters().connections, 2U);
  // Once they have rested, the one unused longest makes room.
  manual.advance(29s);
  auto& last = add_connected(host);
  EXPECT_TRUE(host.connected(last.peer_id()));
  EXPECT_FALSE(host.connected(first.peer_id()));
  EXPECT_EQ(host.counters().connections, 2U);
  expect_log("2 connections are open, all in use");
}

TEST_F(HostLimits, OfConnectionsHoldsForDialsToo) {
  auto few = options();
  few.max_connections = 1;
  auto& host = add(few);
  auto& first = add();
  auto stream = open(host, first);
  ASSERT_TRUE(stream);
  manual.advance(1min);
  auto& second = add();
  EXPECT_EQ(open(host, second).error(), NetErrc::limit_reached);
  EXPECT_EQ(dialer.dials, 1U);
  expect_log("1 connections are open, all in use: /ip4/127.0.0.1/tcp/");
}

TEST_F(HostLimits, LeaveConnectionsWithStreamsAlone) {
  auto few = options();
  few.max_connections = 1;
  auto& host = add(few);
  auto& first = add();
  auto stream = open(first, host);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(exchange(**stream, "x"));
  manual.advance(1min);
  EXPECT_TRUE(refuses(host, add()));
  EXPECT_TRUE(exchange(**stream, "x"));
}

TEST_F(HostLimits, OfInboundConnections) {
  auto few = options();
  few.max_inbound = 1;
  auto& host = add(few);
  add_connected(host);
  EXPECT_TRUE(refuses(host, add()));
  auto& third = add();
  EXPECT_TRUE(connect(host, third));
  expect_log("1 inbound connections are open, all in use");
}

TEST_F(HostLimits, OfAPeersConnectionsDropTheOneUnusedLongest) {
  auto few = options();
  few.max_connections_of_a_peer = 1;
  auto& host = add(few);
  auto& peer = add();
  auto stream = open(host, peer);
  ASSERT_TRUE(stream);
  // In use: the peer's own connection is refused.
  EXPECT_EQ(host.counters().connections, 1U);
  ASSERT_TRUE(run((*stream)->shutdown_write()));
  Bytes one(1);
  EXPECT_FALSE(run((*stream)->read_some(one)));
  EXPECT_TRUE(open(peer, host));
  EXPECT_EQ(host.counters().connections, 1U);
}

TEST_F(HostLimits, OfHandshakesUnderWayEndTheOldest) {
  auto few = options();
  few.max_handshakes = 2;
  auto& host = add(few);
  auto one = knock(host);
  ASSERT_TRUE(wait_for([&] { return host.counters().accepted == 1; }));
  auto two = knock(host);
  ASSERT_TRUE(wait_for([&] { return host.counters().accepted == 2; }));
  auto three = knock(host);
  ASSERT_TRUE(wait_for([&] { return host.counters().failed_handshakes == 1; }));
  EXPECT_TRUE(is_ended(one));
  EXPECT_FALSE(is_ended(two));
  EXPECT_TRUE(connect(add(), host));
  EXPECT_EQ(host.counters().refused, 0U);
  expect_log("more handshakes are under way than there are places");
}

TEST_F(HostLimits, OfAnAddressCountHandshakesUnderWay) {
  auto few = options();
  few.max_connections_of_an_address = 2;
  auto& host = add(few);
  auto silent = knock(host);
  ASSERT_TRUE(wait_for([&] { return host.counters().accepted == 1; }));
  add_connected(host);
  // Who has proved nothing gives way; who has, stays.
  add_connected(host);
  EXPECT_EQ(host.counters().failed_handshakes, 1U);
  EXPECT_TRUE(refuses(host, add()));
  EXPECT_EQ(host.counters().connections, 2U);
  expect_log("127.0.0.1 has as many connections as one address may have, 2");
}

TEST_F(HostLimits, AboveTheSoftOneRestingConnectionsAreClosed) {
  auto few = options();
  few.trim_above = 2;
  auto& host = add(few);
  auto& first = add();
  auto stream = open(first, host);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(exchange(**stream, "x"));
  for (int i = 0; i < 3; ++i) add_connected(host);
  EXPECT_EQ(host.counters().connections, 4U);
  manual.advance(1min);
  add_connected(host);
  EXPECT_EQ(host.counters().connections, 2U);
  EXPECT_TRUE(host.connected(first.peer_id()));
}

TEST_F(HostLimits, OfAPeersStreams) {
  auto few = options();
  few.max_streams_of_a_peer = 3;
  auto& host = add(few);
  auto& peer = add();
  std::vector<Stream> streams;
  // A peer that floods: only so many are served, and the connection lives on.
  for (int i = 0; i < 20; ++i) {
    if (auto stream = open(peer, host)) streams.push_back(std::move(*stream));
  }
  std::size_t served = 0;
  for (const auto& stream : streams) served += exchange(*stream, "x") ? 1 : 0;
  EXPECT_GE(served, 1U);
  EXPECT_LE(served, 3U);
  EXPECT_LE(host.counters().streams, 4U);
  streams.clear();
  ASSERT_TRUE(wait_for([&] { return host.counters().streams == 0; }));
  auto again = open(peer, host);
  ASSERT_TRUE(again);
  EXPECT_TRUE(exchange(**again, "x"));
  expect_log("another one was reset");
}

TEST_F(HostLimits, OfAllStreamsBitesThoseWhoHaveMany) {
  auto few = options();
  few.max_streams = 6;
  auto& host = add(few);
  auto& greedy = add();
  std::vector<Stream> streams;
  std::size_t served = 0;
  for (int i = 0; i < 12; ++i) {
    auto stream = open(greedy, host);
    if (!stream) continue;
    served += exchange(**stream, "x") ? 1 : 0;
    streams.push_back(std::move(*stream));
  }
  EXPECT_GE(served, 4U);
  EXPECT_LE(served, 6U);
  // Others open one each, and so do we.
  for (int i = 0; i < 3; ++i) {
    auto& peer = add();
    for (const bool is_ours : {false, true}) {
      auto stream = is_ours ? open(host, peer) : open(peer, host);
      ASSERT_TRUE(stream);
      EXPECT_TRUE(exchange(**stream, "x"));
      streams.push_back(std::move(*stream));
    }
  }
  expect_log("all peers together have too many streams open");
}

TEST_F(HostLimits, OfBytesThatNobodyReads) {
  auto few = options();
  few.max_buffered = 400'000;
  auto& host = add(few);
  std::vector<std::unique_ptr<ByteStream>> held;
  host.serve("/deaf/1", [&](Host::Inbound inbound) -> awaitable<void> {
    held.push_back(std::move(inbound.stream));
    co_return;
  });
  std::vector<Stream> streams;
  std::size_t failed = 0;
  for (int i = 0; i < 2; ++i) {
    auto stream = open(add(), host, "/deaf/1");
    ASSERT_TRUE(stream);
    const std::string text(250'000, 'x');
    EXPECT_TRUE(run((*stream)->write(as_bytes(text))));
    streams.push_back(std::move(*stream));
  }
  ASSERT_TRUE(wait_for([&] { return host.counters().refused > 0; }));
  Bytes one(1);
  failed += run(streams.back()->read_some(one)).error() == NetErrc::stream_reset ? 1 : 0;
  EXPECT_EQ(failed, 1U);
  // Who has sent little is served, whatever others hold.
  for (int i = 0; i < 3; ++i) {
    auto little = open(add(), host, "/deaf/1");
    ASSERT_TRUE(little);
    EXPECT_TRUE(run((*little)->write(as_bytes(std::string(60'000, 'x')))));
    auto echoed = open(add(), host);
    ASSERT_TRUE(echoed);
    EXPECT_TRUE(exchange(**echoed, std::string(60'000, 'x')));
    streams.push_back(std::move(*little));
  }
  // What is given up makes room.
  held.clear();
  auto stream = open(add(), host, "/deaf/1");
  ASSERT_TRUE(stream);
  expect_log("all peers together have sent too many bytes");
}

TEST_F(HostLimits, OfPushes) {
  auto& host = add();
  auto& peer = add_connected(host);
  for (int i = 0; i < 12; ++i) {
    auto stream = open(peer, host, kIdentifyPushProtocol);
    ASSERT_TRUE(stream);
    IdentifyMessage message;
    message.agent_version = "push " + std::to_string(i);
    (void)run(write_identify(**stream, message));
    Bytes one(1);
    (void)run((*stream)->read_some(one));
  }
  EXPECT_TRUE(wait_for([&] { return host.counters().refused == 2; }));
  EXPECT_EQ(host.about(peer.peer_id())->agent_version, "push 9");
  // A push that says nothing of protocols leaves them.
  EXPECT_EQ(host.about(peer.peer_id())->protocols.size(), 4U);
  expect_log("identifies itself again and again");
}

}  // namespace
}  // namespace hagring::dht
