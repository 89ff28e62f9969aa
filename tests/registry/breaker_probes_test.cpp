// SPDX-License-Identifier: Apache-2.0
#include "registry/breaker_probes.hpp"

#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

struct BreakerProbesTest : testing::Test {
  BreakerProbesTest() { dialer.names[server.host] = origin.server.endpoint(); }
  ~BreakerProbesTest() override {
    test::run(context, probes.stop());
    test::run(context, origin.server.drain());
  }

  /// Runs what is due until `condition` holds; the clock stands.
  template <typename Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    context.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (context.run_one_for(10ms) == 0) context.restart();
    }
    return condition();
  }
  void fail(Trouble trouble = Trouble::unreachable) {
    const asio::ip::tcp::endpoint chosen(asio::ip::make_address("203.0.113.1"), 443);
    breaker.failed(server, trouble, "timed out", chosen);
    ASSERT_TRUE(until([&] { return clock.sleepers() == 1; }));
  }
  bool is_open() { return breaker.is_down(server); }
  /// Lets the next probe come and end.
  void probe(Duration pause) {
    const auto dialled = dialer.dialled.size();
    clock.advance(pause);
    ASSERT_TRUE(until([&] { return dialer.dialled.size() > dialled; }));
  }

  asio::io_context context;
  test::ManualClock clock;
  const OriginServer server{.host = "registry-1.docker.io"};
  test::TestCertificate certificate = test::make_certificate("another.name");
  SslContext server_tls = test::make_server_context_with(certificate);
  SslContext client_tls = test::make_client_context_trusting(nullptr);
  test::FakeRegistry origin{context, clock, server_tls.get()};
  FakeDialer dialer;
  Breaker breaker{clock};
  BreakerProbes probes{context.get_executor(), clock,   dialer,
                       client_tls.get(),       breaker, {.servers = 2, .seed = 1}};
};

TEST_F(BreakerProbesTest, AnyAnswerOfWhomeverProvesLife) {
  origin.behaviour.status = 401;
  fail();
  clock.advance(500ms);
  context.restart();
  context.poll();
  EXPECT_TRUE(dialer.dialled.empty());
  probe(700ms);
  EXPECT_TRUE(until([&] { return !is_open(); }));
  ASSERT_EQ(origin.server.requests.size(), 1U);
  const auto& request = origin.server.requests.front();
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/v2/");
  EXPECT_EQ(request.headers.get("Host"), "registry-1.docker.io");
  EXPECT_FALSE(request.headers.contains("Authorization"));
  EXPECT_EQ(dialer.dialled.front().preferred->address().to_string(), "203.0.113.1");
  EXPECT_TRUE(until([&] { return clock.sleepers() == 0; }));
}

TEST_F(BreakerProbesTest, ServerWithoutTlsBehindAProxyIsProbedByTheProxy) {
  test::FakeRegistry proxy(context, clock);
  proxy.behaviour.status = 401;
  dialer.names["proxy.test"] = proxy.server.endpoint();
  dialer.proxy = PlainProxy{.host = "proxy.test", .port = 3128, .authorization = "Basic abc"};
  const OriginServer plain{.host = "plain.test", .port = 5000, .tls = false};
  breaker.failed(plain, Trouble::unreachable, "timed out", std::nullopt);
  ASSERT_TRUE(until([&] { return clock.sleepers() == 1; }));
  probe(1200ms);
  EXPECT_TRUE(until([&] { return !breaker.is_down(plain); }));
  EXPECT_EQ(dialer.dialled.front().host, "proxy.test");
  const auto& request = proxy.server.requests.front();
  EXPECT_EQ(request.target, "http://plain.test:5000/v2/");
  EXPECT_EQ(request.headers.get("Proxy-Authorization"), "Basic abc");
  test::run(context, proxy.server.drain());
}

TEST_F(BreakerProbesTest, GoOnUntilTheServerIsBack) {
  dialer.names[server.host] = {asio::ip::address_v4::loopback(), 1};
  fail();
  for (const auto pause : {1200ms, 2400ms, 4800ms}) {
    probe(pause);
    ASSERT_TRUE(until([&] { return breaker.outage(server)->next_probe > 1s; }));
    EXPECT_TRUE(is_open());
  }
  dialer.names[server.host] = origin.server.endpoint();
  probe(9600ms);
  EXPECT_TRUE(until([&] { return !is_open(); }));
}

TEST_F(BreakerProbesTest, AreLeftOutWhenARequestHasFoundTheServerWell) {
  fail();
  breaker.answered(server, 200, {});
  clock.advance(1200ms);
  EXPECT_TRUE(until([&] { return clock.sleepers() == 0; }));
  EXPECT_TRUE(dialer.dialled.empty());
}

TEST_F(BreakerProbesTest, BlackHoleCostsEachProbeItsTimeOnly) {
  dialer.black_hole = true;
  fail();
  probe(1200ms);
  ASSERT_TRUE(until([&] { return clock.sleepers() == 1; }));  // the deadline
  clock.advance(5s);
  ASSERT_TRUE(until([&] { return breaker.outage(server)->next_probe > 1s; }));
  EXPECT_TRUE(is_open());
}

TEST_F(BreakerProbesTest, ServerThatSaysNothingStaysClosedToOthers) {
  origin.server.handler = [this](http::Connection&, http::Request) -> awaitable<bool> {
    co_await clock.sleep_for(1h);
    co_return false;
  };
  fail();
  probe(1200ms);
  ASSERT_TRUE(until([&] { return clock.sleepers() == 2; }));  // the server, and the deadline
  clock.advance(5s);
  ASSERT_TRUE(until([&] { return breaker.outage(server)->next_probe > 1s; }));
  EXPECT_TRUE(is_open());
}

TEST_F(BreakerProbesTest, TroubledServerIsTriedByARequest) {
  origin.behaviour.status = 503;
  fail(Trouble::silent);
  probe(1200ms);
  ASSERT_TRUE(until([&] { return !is_open(); }));
  EXPECT_TRUE(breaker.outage(server));
}

struct TokenServiceLookTest : BreakerProbesTest {
  /// Asks whether the service is down; the clock moves on by `pause` if that takes time.
  bool is_found_down(Duration pause = 2s) {
    std::optional<bool> down;
    TaskGroup tasks(context.get_executor(), "look");
    tasks.spawn(
        [&]() -> awaitable<void> { down = co_await breaker.is_found_down(server, target, 6s); });
    const bool at_once = until([&] { return down || clock.sleepers() >= pending; });
    EXPECT_TRUE(at_once);
    if (!down && pause > 0s && !until_within(200ms, [&] { return down.has_value(); })) {
      clock.advance(pause);
    }
    EXPECT_TRUE(until([&] { return down.has_value(); }));
    test::run(context, tasks.drain());
    return down.value_or(false);
  }
  void fall_silent() {
    origin.server.handler = [this](http::Connection&, http::Request) -> awaitable<bool> {
      co_await clock.sleep_for(1h);
      co_return false;
    };
    pending = 3;  // the caller, the probe's deadline, and the server
  }
  template <typename Condition>
  bool until_within(Duration limit, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      context.restart();
      context.run_one_for(10ms);
    }
    return condition();
  }
  std::size_t pending = 1;
  std::string target = "/token?service=registry.test";
};

TEST_F(TokenServiceLookTest, OneThatAnswersIsNotLookedAtAgainForAWhile) {
  origin.behaviour.status = 400;
  EXPECT_FALSE(is_found_down());
  EXPECT_FALSE(is_found_down());
  EXPECT_EQ(origin.server.count("GET", target), 1);
  clock.advance(31s);
  EXPECT_FALSE(is_found_down());
  EXPECT_EQ(origin.server.count("GET", target), 2);
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(TokenServiceLookTest, OneThatRefusesOrFailsIsFoundOutAtOnceAndComesBack) {
  dialer.names[server.host] = {asio::ip::address_v4::loopback(), 1};
  EXPECT_TRUE(is_found_down());
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::unreachable);
  EXPECT_TRUE(is_found_down());
  EXPECT_EQ(dialer.dialled.size(), 1U);
  dialer.names[server.host] = origin.server.endpoint();
  origin.behaviour.status = 503;
  probe(1200ms);
  ASSERT_TRUE(until([&] { return breaker.outage(server)->next_probe > 1s; }));
  EXPECT_TRUE(is_open());
  origin.behaviour.status = 200;
  probe(2400ms);
  EXPECT_TRUE(until([&] { return breaker.outages().empty(); }));
  EXPECT_FALSE(is_found_down());
}

TEST_F(TokenServiceLookTest, OneThatFailsClientsRequestsIsDownWhateverIsRelayed) {
  origin.behaviour.status = 503;
  EXPECT_TRUE(is_found_down());
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::failing);
  breaker.reached(server);
  EXPECT_TRUE(is_open());
  origin.behaviour.status = 401;
  probe(1200ms);
  EXPECT_TRUE(until([&] { return breaker.outages().empty(); }));
}

TEST_F(TokenServiceLookTest, OneThatFailsABareRequestIsAlive) {
  target = "/token";
  origin.behaviour.status = 503;
  EXPECT_FALSE(is_found_down());
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(TokenServiceLookTest, OneThatCannotBeReachedInAProbesTimeIsDown) {
  dialer.black_hole = true;
  pending = 2;
  EXPECT_TRUE(is_found_down(5s));
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::unreachable);
}

TEST_F(TokenServiceLookTest, WhatIsNotFoundOutInTimeIsNotDown) {
  breaker.on_probe([](const OriginServer&) {});
  EXPECT_FALSE(is_found_down(6s));
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(TokenServiceLookTest, SilentOneIsDownOnlyIfItHasAnsweredBefore) {
  const auto answer = origin.server.handler;
  fall_silent();
  EXPECT_FALSE(is_found_down(5s));
  EXPECT_FALSE(is_found_down());  // not looked at again at once
  EXPECT_EQ(origin.server.requests.size(), 1U);

  clock.advance(31s);
  origin.server.handler = answer;
  pending = 1;
  EXPECT_FALSE(is_found_down());
  clock.advance(31s);
  fall_silent();
  EXPECT_TRUE(is_found_down(5s));
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::silent);
}

TEST_F(TokenServiceLookTest, ConnectionThatWorkedProvesThatASilentOneIsBack) {
  EXPECT_FALSE(is_found_down());
  breaker.failed(server, Trouble::silent, "timed out", std::nullopt);
  EXPECT_TRUE(is_found_down());
  breaker.reached(server);
  EXPECT_FALSE(is_found_down());
  EXPECT_EQ(origin.server.requests.size(), 1U);
}

TEST_F(BreakerProbesTest, AreBounded) {
  fail();
  for (const auto* host : {"b", "c"}) breaker.failed({.host = host}, Trouble::unreachable, "", {});
  ASSERT_TRUE(until([&] { return !breaker.is_down({.host = "c"}); }));
  EXPECT_TRUE(breaker.is_down({.host = "b"}));
}

TEST_F(BreakerProbesTest, EndWithTheAgent) {
  fail();
  test::run(context, probes.stop());
  breaker.failed({.host = "b"}, Trouble::unreachable, "", {});
  context.restart();
  context.poll();
  EXPECT_EQ(clock.sleepers(), 0U);
}

}  // namespace
}  // namespace hagring::registry
