// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "registry/race.hpp"
#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

TEST(FirstByteTimes, KnowNothingWithoutEnoughAnswersOfFellows) {
  FirstByteTimes times({.enough = 3, .unknown = 250ms});
  for (int i = 0; i < 10; ++i) times.note("a", 30ms);
  times.note("b", 30ms);
  EXPECT_EQ(times.patience("a"), 250ms);
  EXPECT_EQ(times.patience("b"), 30ms);
  EXPECT_EQ(times.patience("somebody new"), 30ms);
}

TEST(FirstByteTimes, ArePatientForAsLongAsNearlyAllFellowsTake) {
  FirstByteTimes times;
  for (int i = 1; i <= 100; ++i) times.note("fellow " + std::to_string(i % 5), i * 1ms);
  for (int i = 0; i < 100; ++i) times.note("slow", 2s);
  EXPECT_EQ(times.patience("slow"), 96ms);
}

TEST(FirstByteTimes, ForgetTheOldestAndAreNeverImpatient) {
  FirstByteTimes times({.remembered = 10, .least = 20ms});
  for (int i = 0; i < 10; ++i) times.note("fellow", 500ms);
  EXPECT_EQ(times.patience("a"), 500ms);
  for (int i = 0; i < 10; ++i) times.note("fellow", 1ms);
  EXPECT_EQ(times.patience("a"), 20ms);
}

struct RaceTest : testing::Test {
  using Outcome = Race<int>::Outcome;

  /// An operation that gives `result` after `delay`.
  Race<int>::Operation after(Duration delay, Result<int> result) {
    return [this, delay, result]() -> awaitable<Result<int>> {
      ++begun;
      co_await clock.sleep_for(delay);
      if (co_await asked_to_stop()) {
        ++cancelled;
        co_return Errc::cancelled;
      }
      co_return result;
    };
  }
  Outcome run(Race<int>::Operation first, Duration patience, Race<int>::Operation second) {
    Race<int> race(context.get_executor(), clock);
    return test::run(context, race.run(std::move(first), patience, std::move(second)));
  }

  asio::io_context context;
  SystemClock clock;
  int begun = 0;
  int cancelled = 0;
};

TEST_F(RaceTest, SecondDoesNotBeginWhenTheFirstIsInTime) {
  const auto outcome = run(after(0ms, 1), 20s, after(0ms, 2));
  EXPECT_EQ(outcome.result, Result<int>(1));
  EXPECT_FALSE(outcome.second_won);
  EXPECT_EQ(begun, 1);
}

TEST_F(RaceTest, SecondDoesNotBeginWhenTheFirstFailsInTime) {
  const auto outcome = run(after(0ms, Errc::not_found), 20s, after(0ms, 2));
  EXPECT_EQ(outcome.result.error(), Errc::not_found);
  EXPECT_EQ(begun, 1);
}

TEST_F(RaceTest, SecondWinsOverASilentFirstWhichIsCancelled) {
  const auto outcome = run(after(1h, 1), 5ms, after(0ms, 2));
  EXPECT_EQ(outcome.result, Result<int>(2));
  EXPECT_TRUE(outcome.second_won);
  EXPECT_EQ(cancelled, 1);
}

TEST_F(RaceTest, FirstMayStillWin) {
  const auto outcome = run(after(50ms, 1), 5ms, after(1h, 2));
  EXPECT_EQ(outcome.result, Result<int>(1));
  EXPECT_FALSE(outcome.second_won);
  EXPECT_EQ(begun, 2);
  EXPECT_EQ(cancelled, 1);
}

TEST_F(RaceTest, FailureOfOneLeavesTheOther) {
  EXPECT_EQ(run(after(30ms, 1), 5ms, after(0ms, Errc::not_found)).result, Result<int>(1));
  EXPECT_EQ(run(after(30ms, Errc::not_found), 5ms, after(60ms, 2)).result, Result<int>(2));
  EXPECT_EQ(run(after(30ms, Errc::bad_message), 5ms, after(0ms, Errc::not_found)).result.error(),
            Errc::bad_message);
}

TEST_F(RaceTest, OperationThatThrowsHasFailed) {
  const auto throwing = []() -> awaitable<Result<int>> {
    throw std::runtime_error("for want of memory");
    co_return 1;
  };
  EXPECT_EQ(run(throwing, 20s, after(0ms, 2)).result.error(), Errc::unavailable);
  EXPECT_EQ(run(after(30ms, 1), 5ms, throwing).result, Result<int>(1));
}

TEST_F(RaceTest, CancellationEndsBoth) {
  TaskGroup caller(context.get_executor(), "caller");
  std::optional<Outcome> outcome;
  caller.spawn([&]() -> awaitable<void> {
    Race<int> race(context.get_executor(), clock);
    outcome.emplace(co_await race.run(after(1h, 1), 1ms, after(1h, 2)));
  });
  const auto stop = [&]() -> awaitable<void> {
    while (begun < 2) co_await clock.sleep_for(1ms);
    caller.cancel();
    co_await caller.drain();
  };
  test::run(context, stop());
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->result.error(), Errc::cancelled);
  EXPECT_EQ(cancelled, 2);
}

/// Two peers that have a blob; which of them is asked first depends on its digest.
struct HedgeTest : MirrorTest {
  HedgeTest() : MirrorTest(FirstByteTimes::Options{.unknown = 20ms}) {
    for (int i = 0; i < 2; ++i) add_peer().add(content);
    first = std::hash<std::string>()(digest.to_string()) % 2 == 0 ? &peers.front() : &peers.back();
    second = first == &peers.front() ? &peers.back() : &peers.front();
  }
  /// Has the peer that is asked first answer only after `delay`.
  void delay_first(Duration delay) {
    first->server.handler = [this, delay, answer = first->server.handler](
                                http::Connection& connection,
                                http::Request request) -> awaitable<bool> {
      co_await clock.sleep_for(delay);
      co_return co_await answer(connection, std::move(request));
    };
  }
  /// Another blob of both peers for which the same one is asked first.
  std::pair<Digest, std::string> another_for_first() {
    const auto turn = [](const Digest& of) { return std::hash<std::string>()(of.to_string()) % 2; };
    for (std::size_t size = 1'000;; ++size) {
      auto bytes = test::noise(size);
      const auto other = origin.add(bytes);
      if (turn(other) != turn(digest)) continue;
      for (auto& peer : peers) peer.add(bytes);
      return {other, std::move(bytes)};
    }
  }
  std::size_t requests() const {
    std::size_t all = 0;
    for (const auto& peer : peers) all += peer.server.requests.size();
    return all;
  }

  const std::string content = test::noise(100'000);
  const Digest digest = origin.add(content);
  test::FakeRegistry* first = nullptr;
  test::FakeRegistry* second = nullptr;
};

TEST_F(HedgeTest, SilentPeersFellowAnswersInItsPlace) {
  delay_first(1h);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_EQ(first->server.requests.size(), 1U);
  EXPECT_EQ(second->server.requests.size(), 1U);
  EXPECT_EQ(conduct.first_bytes().counters().hedges, 1U);
  EXPECT_EQ(conduct.first_bytes().counters().won, 1U);
  EXPECT_TRUE(origin.server.requests.empty());
  EXPECT_TRUE(conduct.paused().empty());  // slow isn't out of reach
}

TEST_F(HedgeTest, PeerThatAnswersAfterAllIsTakenIfTheOtherHasNothing) {
  delay_first(100ms);
  second->contents.clear();
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(requests(), 2U);
  EXPECT_EQ(conduct.first_bytes().counters().hedges, 1U);
  EXPECT_EQ(conduct.first_bytes().counters().won, 0U);
}

TEST_F(HedgeTest, PeerThatHasLostIsAskedAgainWhenTheWinnerDies) {
  delay_first(100ms);
  first->behaviour.cut_at = 40'000;
  second->server.handler = [this, times = 0, answer = second->server.handler](
                               http::Connection& connection,
                               http::Request request) mutable -> awaitable<bool> {
    if (times++ == 0) co_await clock.sleep_for(1h);
    co_return co_await answer(connection, std::move(request));
  };
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(second->server.requests.size(), 2U);
  EXPECT_EQ(conduct.first_bytes().counters().won, 0U);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(HedgeTest, NobodyElseIsLeftToAsk) {
  delay_first(100ms);
  peer_list.erase(peer_list.begin() + (second == &peers.front() ? 0 : 1));
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(requests(), 1U);
  EXPECT_EQ(conduct.first_bytes().counters().hedges, 0U);
}

TEST_F(HedgeTest, OneHedgeIsAllThatARequestGets) {
  fetcher_options.first_byte = 200ms;
  delay_first(1h);
  second->server.handler = first->server.handler;
  add_peer().server.handler = first->server.handler;
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(requests(), 3U);
  EXPECT_EQ(conduct.first_bytes().counters().hedges, 1U);
}

TEST_F(HedgeTest, SlowPeerIsNotTheMeasureForItself) {
  conduct.first_bytes().note(peer_list.front().key(), 1ms);
  delay_first(150ms);
  const auto slow = first == &peers.front() ? "peer-1" : "peer-2";
  for (int i = 0; i < 20; ++i) conduct.first_bytes().note(slow, 5s);
  for (int i = 0; i < 20; ++i) conduct.first_bytes().note("fellow", 10ms);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(conduct.first_bytes().counters().won, 1U);
}

TEST_F(HedgeTest, ConnectionOfTheSlowerIsNotReused) {
  delay_first(100ms);
  EXPECT_TRUE(get_blob(digest).body == content);
  const auto [other, bytes] = another_for_first();
  EXPECT_TRUE(get_blob(other).body == bytes);
  // What it has been asked for isn't taken for the answer to the next request.
  EXPECT_EQ(first->server.connections, 2);
  EXPECT_EQ(second->server.connections, 1);
}

}  // namespace
}  // namespace hagring::registry
