// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust_keeper.hpp"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;

/// A client that trusts the CA, or not.
struct FakeProber final : Prober {
  FakeProber(Trust& shown, bool trusts_ca) : trust(shown), trusts(trusts_ca) {}
  awaitable<std::string> probe(std::string nonce) override {
    nonces.push_back(nonce);
    if (trusts) trust.probe_seen(*trust.client(), nonce);
    co_return trusts ? "not found" : "x509: certificate signed by unknown authority";
  }
  Trust& trust;
  bool trusts;
  std::vector<std::string> nonces;
};

struct TrustKeeperTest : testing::Test {
  TrustKeeperTest() {
    group.spawn([this] { return keep_proving({{.trust = trust}}, prober, clock); });
    rest();
  }
  ~TrustKeeperTest() override {
    group.cancel();
    test::run(context, group.drain());
  }
  /// Runs until the keeper sleeps again.
  void rest() {
    do {
      context.restart();
      context.poll();
    } while (clock.sleepers() == 0);
  }
  void advance(Duration duration) {
    for (auto end = clock.now() + duration; clock.now() < end;) {
      clock.advance(500ms);
      rest();
    }
  }

  asio::io_context context;
  test::ManualClock clock;
  Trust trust{clock, {.first_retry = 5s, .longest_retry = 60s, .settled_after = 30min}};
  FakeProber prober{trust, true};
  TaskGroup group{context.get_executor(), "test"};
};

TEST_F(TrustKeeperTest, ProofsAreMadeOneAfterTheOther) {
  Trust first(clock), second(clock);
  FakeProber own(first, false), common(second, true);
  std::vector<std::string> chosen;
  TaskGroup both(context.get_executor(), "both");
  both.spawn([&] {
    return keep_proving({{.trust = first,
                          .chosen = [&] { chosen.push_back("first"); },
                          .logged = [] { return false; },
                          .prober = &own},
                         {.trust = second, .chosen = [&] { chosen.push_back("second"); }}},
                        common, clock);
  });
  rest();
  first.client_appeared(7, clock.wall());
  second.client_appeared(7, clock.wall());
  advance(2s);
  EXPECT_EQ(chosen, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(first.state(), TrustState::refused);
  EXPECT_EQ(second.state(), TrustState::trusted);
  advance(10s);
  EXPECT_EQ(chosen.back(), "first");
  EXPECT_EQ(common.nonces.size(), 1U);
  both.cancel();
  test::run(context, both.drain());
}

TEST_F(TrustKeeperTest, ProbesAClientOnceItIsThereAndThenRests) {
  advance(1min);
  EXPECT_TRUE(prober.nonces.empty());
  trust.client_appeared(7, clock.wall());
  advance(1s);
  EXPECT_TRUE(trust.terminates());
  advance(1h);
  EXPECT_EQ(prober.nonces.size(), 1U);
}

TEST_F(TrustKeeperTest, ProbesAgainAfterFailuresWithANonceOfItsOwn) {
  prober.trusts = false;
  trust.client_appeared(7, clock.wall());
  advance(2s);
  EXPECT_EQ(trust.state(), TrustState::refused);
  prober.trusts = true;
  advance(5s);
  EXPECT_TRUE(trust.terminates());
  ASSERT_EQ(prober.nonces.size(), 2U);
  EXPECT_NE(prober.nonces[0], prober.nonces[1]);
  EXPECT_EQ(prober.nonces[0].size(), 32U);
}

TEST_F(TrustKeeperTest, ProbesAgainAfterACertificateAlertAndARestart) {
  trust.client_appeared(7, clock.wall());
  advance(1s);
  trust.certificate_alert(7, 42);
  advance(6s);
  EXPECT_TRUE(trust.terminates());
  trust.client_gone(7);
  trust.client_appeared(8, clock.wall());
  EXPECT_FALSE(trust.terminates());
  advance(1s);
  EXPECT_TRUE(trust.terminates());
  EXPECT_EQ(prober.nonces.size(), 3U);
}

TEST(ProbeNonce, IsWhatFollowsTheProbesPath) {
  EXPECT_EQ(probe_nonce("/v2/hagring/probe/manifests/abc"), "abc");
  EXPECT_EQ(probe_nonce("/v2/hagring/probe/manifests/abc?ns=192.0.2.1"), "abc");
  EXPECT_EQ(probe_nonce("/v2/hagring/probe/manifests/"), "");
  EXPECT_EQ(probe_nonce("/v2/library/nginx/manifests/abc"), "");
}

}  // namespace
}  // namespace hagring::proxy
