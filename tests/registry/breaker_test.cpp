// SPDX-License-Identifier: Apache-2.0
#include "registry/breaker.hpp"

#include <gmock/gmock.h>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

const OriginServer kHub{.host = "registry-1.docker.io"};

struct BreakerTest : testing::Test {
  BreakerTest() {
    breaker.on_probe([this](const OriginServer& server) { wanted.push_back(server); });
  }

  /// Whether a request that has others to ask may go; it ends at once.
  bool may_go(bool others = true) {
    return breaker.admit(kHub, others, context.get_executor()).has_value();
  }
  void fail(Trouble trouble, std::string reason = "timed out") {
    breaker.failed(kHub, trouble, std::move(reason), std::nullopt);
  }
  std::optional<Duration> pause() {
    const auto probe = breaker.next_probe(kHub, 0.5);
    return probe ? std::optional(probe->when - clock.now()) : std::nullopt;
  }

  asio::io_context context;
  test::ManualClock clock;
  Breaker breaker{clock};
  std::vector<OriginServer> wanted;
};

TEST_F(BreakerTest, OneTimeOutOpensItForThoseWhoHaveOthers) {
  EXPECT_TRUE(may_go());
  EXPECT_TRUE(breaker.outages().empty());
  clock.advance(5s);
  fail(Trouble::unreachable);
  EXPECT_EQ(breaker.admit(kHub, true, context.get_executor()).error(), OriginErrc::down);
  EXPECT_TRUE(may_go(false));
  EXPECT_TRUE(breaker.is_down(kHub));
  EXPECT_EQ(wanted, std::vector{kHub});
  EXPECT_FALSE(breaker.is_down({.host = kHub.host, .port = 8443}));
  EXPECT_FALSE(breaker.is_down({.host = kHub.host, .tls = false}));
  EXPECT_FALSE(breaker.is_down({.host = "ghcr.io"}));
}

TEST_F(BreakerTest, ClosesAtAnyAnswerThatIsNotBad) {
  for (const unsigned status : {200U, 307U, 401U, 403U, 404U, 429U, 501U}) {
    fail(Trouble::silent);
    EXPECT_FALSE(may_go());
    breaker.answered(kHub, status, {});
    EXPECT_TRUE(may_go()) << status;
  }
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(BreakerTest, BadAnswersOpenItOnlyInARowAndInTime) {
  const auto bad = [&](int times) {
    for (int i = 0; i < times; ++i) breaker.answered(kHub, i % 2 == 0 ? 503 : 500, {});
  };
  bad(4);
  breaker.answered(kHub, 404, {});
  bad(4);
  EXPECT_TRUE(may_go());
  clock.advance(61s);
  bad(4);
  EXPECT_TRUE(may_go());
  bad(1);
  EXPECT_FALSE(may_go());
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::failing);
}

TEST_F(BreakerTest, SaysSinceWhenAndWhy) {
  fail(Trouble::silent, "timed out");
  clock.advance(1min);
  fail(Trouble::unreachable, "Connection refused");
  const auto outage = breaker.outage(kHub);
  ASSERT_TRUE(outage);
  EXPECT_EQ(outage->to_string(),
            "registry-1.docker.io:443 has not answered since 2025-12-18T00:00:00Z (timed out)");
  EXPECT_FALSE(outage->next_probe);
  EXPECT_EQ(pause(), 1s);
  EXPECT_EQ(breaker.outage(kHub)->next_probe, 1s);
  EXPECT_FALSE(breaker.outage({.host = "ghcr.io"}));
}

TEST_F(BreakerTest, ProbesComeLessAndLessOftenAndEnd) {
  fail(Trouble::unreachable);
  std::vector<Duration> pauses;
  while (const auto next = pause()) {
    pauses.push_back(*next);
    clock.advance(*next);
    breaker.probed(kHub, ProbeFinding::dead, "refused");
  }
  EXPECT_EQ(pauses.size(), 25U);
  EXPECT_THAT(std::vector(pauses.begin(), pauses.begin() + 7),
              testing::ElementsAre(1s, 2s, 4s, 8s, 16s, 30s, 30s));
  // Then one request at a time tries it.
  EXPECT_FALSE(breaker.is_down(kHub));
  EXPECT_TRUE(may_go());
  EXPECT_EQ(wanted.size(), 1U);
  fail(Trouble::unreachable);
  EXPECT_FALSE(may_go());
  EXPECT_EQ(wanted.size(), 2U);
  EXPECT_EQ(pause(), 30s);
}

TEST_F(BreakerTest, JitterSpreadsProbes) {
  fail(Trouble::unreachable);
  EXPECT_EQ(breaker.next_probe(kHub, 0)->when - clock.now(), 800ms);
  EXPECT_EQ(breaker.next_probe(kHub, 1)->when - clock.now(), 2400ms);
}

TEST_F(BreakerTest, ProbeThatReachesAnUnreachableServerClosesIt) {
  for (const auto finding : {ProbeFinding::reached, ProbeFinding::answered}) {
    fail(Trouble::unreachable);
    breaker.probed(kHub, ProbeFinding::mute, "");
    EXPECT_FALSE(may_go());
    breaker.probed(kHub, finding, "");
    EXPECT_TRUE(may_go());
    EXPECT_FALSE(pause());
  }
}

TEST_F(BreakerTest, AfterOtherTroublesOneRequestTriesForAll) {
  const std::vector<std::pair<Trouble, ProbeFinding>> cases{
      {Trouble::silent, ProbeFinding::answered},
      {Trouble::silent, ProbeFinding::troubled},
      {Trouble::failing, ProbeFinding::answered},
      {Trouble::unreachable, ProbeFinding::troubled}};
  for (const auto& [trouble, finding] : cases) {
    for (int i = 0; i < 5; ++i) fail(trouble);
    breaker.probed(kHub, finding, "");
    {
      const auto trial = breaker.admit(kHub, true, context.get_executor());
      EXPECT_TRUE(trial);
      EXPECT_FALSE(may_go());
      EXPECT_TRUE(may_go(false));
    }
    EXPECT_TRUE(may_go());  // the one that tried was stopped
    const auto trial = breaker.admit(kHub, true, context.get_executor());
    fail(trouble);
    EXPECT_FALSE(may_go());
    EXPECT_TRUE(breaker.is_down(kHub));
    breaker.answered(kHub, 200, {});
  }
}

TEST_F(BreakerTest, FailingServerWhoseProbeFailsTooStaysAsItIs) {
  for (int i = 0; i < 5; ++i) fail(Trouble::failing, "it answers 502");
  breaker.probed(kHub, ProbeFinding::troubled, "it answers 502");
  EXPECT_FALSE(may_go());
}

TEST_F(BreakerTest, RelapseIsProbedAsSlowlyAsBefore) {
  fail(Trouble::unreachable);
  for (int i = 0; i < 3; ++i) (void)pause();
  breaker.answered(kHub, 200, {});
  clock.advance(30s);
  fail(Trouble::unreachable);
  EXPECT_EQ(pause(), 8s);
  breaker.answered(kHub, 200, {});
  clock.advance(61s);
  fail(Trouble::unreachable);
  EXPECT_EQ(pause(), 1s);
}

TEST_F(BreakerTest, SuspectIsProbedOnceAndOpensOnlyIfThatFails) {
  const asio::ip::tcp::endpoint chosen(asio::ip::make_address("203.0.113.1"), 443);
  breaker.suspect(kHub, chosen);
  breaker.suspect(kHub, chosen);
  EXPECT_EQ(wanted.size(), 1U);
  EXPECT_TRUE(may_go());
  const auto probe = breaker.next_probe(kHub, 0.5);
  ASSERT_TRUE(probe);
  EXPECT_EQ(probe->when, clock.now());
  EXPECT_EQ(probe->preferred, chosen);
  breaker.probed(kHub, ProbeFinding::answered, "");
  EXPECT_FALSE(breaker.next_probe(kHub, 0.5));
  breaker.suspect(kHub, chosen);
  EXPECT_EQ(wanted.size(), 1U);
  clock.advance(10s);
  breaker.suspect(kHub, chosen);
  EXPECT_EQ(wanted.size(), 2U);
  EXPECT_TRUE(breaker.next_probe(kHub, 0.5));
  breaker.probed(kHub, ProbeFinding::mute, "timed out");
  EXPECT_EQ(breaker.outages().front().trouble, Trouble::silent);
  EXPECT_EQ(pause(), 1s);
}

TEST_F(BreakerTest, RelayedBytesProveReachabilityOnly) {
  fail(Trouble::unreachable);
  breaker.reached(kHub);
  EXPECT_TRUE(may_go());
  fail(Trouble::silent);
  breaker.reached(kHub);
  EXPECT_FALSE(may_go());
}

TEST_F(BreakerTest, ServerThatIsNotProbedIsTriedByRequests) {
  fail(Trouble::unreachable);
  breaker.not_probed(kHub);
  EXPECT_TRUE(may_go());
  EXPECT_FALSE(breaker.is_down(kHub));
}

TEST_F(BreakerTest, ForgetsWhoWasTouchedLongestAgo) {
  Breaker small(clock, {.capacity = 3});
  for (const auto* host : {"a", "b", "c", "a", "d"}) {
    small.failed({.host = host}, Trouble::unreachable, "", {});
  }
  EXPECT_TRUE(small.is_down({.host = "a"}));
  EXPECT_FALSE(small.is_down({.host = "b"}));
  EXPECT_EQ(small.outages().size(), 3U);
  EXPECT_FALSE(small.next_probe({.host = "b"}, 0));
  small.probed({.host = "b"}, ProbeFinding::dead, "");
}

/// A request that would wait for an hour.
awaitable<Result<int>> hang(Clock& clock) {
  co_await clock.sleep_for(1h);
  co_return Errc::cancelled;
}

TEST_F(BreakerTest, RequestsUnderWayEndWhenOneHasFoundOut) {
  struct Outcome {
    bool others = true;
    std::optional<error_code> error{};
    bool sealed = false;
  };
  std::vector<Outcome> outcomes{{true}, {true}, {false}};
  TaskGroup tasks(context.get_executor(), "requests");
  for (auto& outcome : outcomes) {
    tasks.spawn([this, &outcome]() -> awaitable<void> {
      auto leave = breaker.admit(kHub, outcome.others, context.get_executor());
      if (!leave) co_return;
      const auto result = co_await with_deadline(leave->fate(), 10min, hang(clock));
      outcome.error = result.error();
      outcome.sealed = leave->fate().sealed();
    });
  }
  const auto settle = [&] {
    context.restart();
    while (context.run_one_for(50ms) > 0) {
    }
  };
  settle();
  EXPECT_EQ(clock.sleepers(), 6U);
  fail(Trouble::unreachable);
  settle();
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.error.has_value(), outcome.others);
    EXPECT_EQ(outcome.sealed, outcome.others);
    if (outcome.others) EXPECT_EQ(*outcome.error, Errc::timed_out);
  }
  clock.advance(11min);
  settle();
  EXPECT_EQ(outcomes.back().error, error_code(Errc::timed_out));
  EXPECT_FALSE(outcomes.back().sealed);
  test::run(context, tasks.drain());
}

TEST_F(BreakerTest, CallerThatIsStoppedWhileItSharesAFateEnds) {
  TaskGroup tasks(context.get_executor(), "requests");
  std::optional<error_code> error;
  tasks.spawn([&]() -> awaitable<void> {
    auto leave = breaker.admit(kHub, true, context.get_executor());
    error = (co_await with_deadline(leave->fate(), 10min, hang(clock))).error();
  });
  context.run_for(50ms);
  tasks.cancel();
  test::run(context, tasks.drain());
  EXPECT_EQ(error, error_code(Errc::cancelled));
}

}  // namespace
}  // namespace hagring::registry
