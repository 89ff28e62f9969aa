// SPDX-License-Identifier: Apache-2.0
#include "tests/dht/net/hosts.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using test::kEcho;

struct HostDial : test::Hosts {
  /// Opens so many streams at once; the errors that came, none for a stream.
  std::vector<error_code> open_at_once(std::vector<std::pair<Host*, Host*>> pairs) {
    std::vector<error_code> results;
    std::vector<Stream> streams;
    run([&]() -> awaitable<void> {
      TaskGroup group(co_await asio::this_coro::executor, "test");
      for (const auto& pair : pairs) {
        group.spawn([&]() -> awaitable<void> {
          const std::vector<Multiaddr> addresses{Multiaddr::of(pair.second->endpoint())};
          auto stream = co_await pair.first->open(pair.second->peer_id(), addresses, kEcho);
          if (stream) {
            const auto back = co_await exchange_on(**stream, "hello");
            results.push_back(back ? error_code() : back.error());
            streams.push_back(std::move(*stream));
          } else {
            results.push_back(stream.error());
          }
        });
      }
      co_await group.drain();
    }());
    // And all of them live on.
    for (const auto& stream : streams) EXPECT_TRUE(exchange(*stream, "again"));
    return results;
  }
  /// An endpoint of loopback that nobody listens on.
  tcp::endpoint closed_port() {
    tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
    return acceptor.local_endpoint();
  }
};

TEST_F(HostDial, IsSharedByAllWhoWantThePeer) {
  auto& a = add();
  auto& b = add();
  const auto results = open_at_once(std::vector(10, std::pair{&a, &b}));
  EXPECT_EQ(results, std::vector<error_code>(10));
  EXPECT_EQ(dialer.dials, 1U);
  EXPECT_EQ(a.counters().connections, 1U);
}

TEST_F(HostDial, SurvivesItsFirstCaller) {
  auto& a = add();
  auto& b = add();
  const std::vector<Multiaddr> addresses{Multiaddr::of(b.endpoint())};
  error_code first;
  tasks.spawn([&]() -> awaitable<void> {
    first = (co_await a.open(b.peer_id(), addresses, kEcho)).error();
  });
  ASSERT_TRUE(wait_for([&] { return dialer.dials == 1; }));
  tasks.cancel();
  run(tasks.drain());
  EXPECT_EQ(first, Errc::cancelled);
  EXPECT_TRUE(open(a, b));
  EXPECT_EQ(dialer.dials, 1U);
}

TEST_F(HostDial, BothWaysAtOnceKeepsBothsStreams) {
  auto& a = add();
  auto& b = add();
  for (int i = 0; i < 5; ++i) {
    const auto results = open_at_once({{&a, &b}, {&b, &a}, {&a, &b}, {&b, &a}});
    EXPECT_EQ(results, std::vector<error_code>(4));
  }
  EXPECT_LE(dialer.dials, 2U);
  EXPECT_LE(a.counters().connections, 2U);
}

TEST_F(HostDial, EndsWithAConnectionThatThePeerMakes) {
  auto& a = add();
  auto& b = add();
  tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  const std::vector<Multiaddr> addresses{Multiaddr::of(silent.local_endpoint())};
  bool opened = false;
  tasks.spawn([&]() -> awaitable<void> {
    opened = (co_await a.open(b.peer_id(), addresses, kEcho)).has_value();
  });
  ASSERT_TRUE(wait_for([&] { return dialer.dials == 1; }));
  ASSERT_TRUE(connect(b, a));
  EXPECT_TRUE(wait_for([&] { return opened; }, 1s));
}

TEST_F(HostDial, RacesAddresses) {
  auto& a = add();
  auto& b = add();
  tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  std::vector<Multiaddr> addresses;
  for (const auto& endpoint : {closed_port(), silent.local_endpoint(), b.endpoint()}) {
    addresses.push_back(Multiaddr::of(endpoint));
  }
  addresses.push_back(*Multiaddr::parse("/ip4/127.0.0.1/udp/5001/quic-v1"));
  addresses.push_back(*Multiaddr::parse("/dns4/localhost/tcp/5001"));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(run(a.open(b.peer_id(), addresses, kEcho)));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  EXPECT_EQ(dialer.dials, 3U);
  EXPECT_EQ(a.counters().connections, 1U);
}

TEST_F(HostDial, GivesTheLastErrorWhenNoAddressAnswers) {
  auto& a = add();
  auto& b = add();
  EXPECT_EQ(run(a.open(b.peer_id(), {}, kEcho)).error(), Errc::unavailable);
  EXPECT_EQ(run(a.open(b.peer_id(), {Multiaddr::of(closed_port())}, kEcho)).error(),
            boost::system::errc::connection_refused);
  EXPECT_EQ(run(a.connect(closed_port(), std::nullopt)).error(),
            boost::system::errc::connection_refused);
  EXPECT_EQ(a.counters().failed_dials, 2U);
}

struct HostBackoff : HostDial {
  HostBackoff() { clock = &manual; }
};

TEST_F(HostBackoff, LeavesAFailedAddressAlone) {
  auto& a = add();
  auto& b = add();
  const std::vector<Multiaddr> dead{Multiaddr::of(closed_port())};
  const auto try_dead = [&] { return run(a.open(b.peer_id(), dead, kEcho)).error(); };
  EXPECT_EQ(try_dead(), boost::system::errc::connection_refused);
  EXPECT_EQ(try_dead(), boost::system::errc::connection_refused);
  EXPECT_EQ(dialer.dials, 1U);
  manual.advance(1s);
  EXPECT_EQ(try_dead(), boost::system::errc::connection_refused);
  EXPECT_EQ(dialer.dials, 2U);
  manual.advance(1s);
  EXPECT_EQ(try_dead(), boost::system::errc::connection_refused);
  EXPECT_EQ(dialer.dials, 2U);
  // Another address is tried meanwhile.
  EXPECT_TRUE(open(a, b));
  EXPECT_EQ(dialer.dials, 3U);
}

TEST_F(HostBackoff, EndsWhenThePeerConnects) {
  auto& a = add();
  auto& b = add();
  const std::vector<Multiaddr> dead{Multiaddr::of(closed_port())};
  EXPECT_FALSE(run(a.open(b.peer_id(), dead, kEcho)));
  ASSERT_TRUE(connect(b, a));
  EXPECT_TRUE(run(a.open(b.peer_id(), dead, kEcho)));
  stop(b);
  ASSERT_TRUE(wait_for([&] { return !a.connected(b.peer_id()); }));
  EXPECT_FALSE(run(a.open(b.peer_id(), dead, kEcho)));
  EXPECT_EQ(dialer.dials, 3U);
}

}  // namespace
}  // namespace hagring::dht
