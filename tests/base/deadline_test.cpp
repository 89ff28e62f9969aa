// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/deadline.hpp"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <stdexcept>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

struct DeadlineTest : testing::Test {
  asio::io_context context;
  test::ManualClock clock;
  SystemClock machine;
  TaskGroup group{context.get_executor(), "test"};
  asio::steady_timer event{context, asio::steady_timer::time_point::max()};
  std::optional<error_code> seen;

  awaitable<void> watch(awaitable<Result<int>> operation) {
    seen = (co_await with_deadline(clock, 1h, std::move(operation))).error();
  }
  /// The same by the machine's own time.
  awaitable<void> watch_for(Duration limit, awaitable<Result<int>> operation) {
    seen = (co_await with_deadline(machine, limit, std::move(operation))).error();
  }
};

/// A loop of reads that ends for an error only. The event comes when its expiry is changed.
awaitable<Result<int>> read_for_ever(asio::steady_timer& event) {
  while (true) {
    const auto before = event.expiry();
    co_await event.async_wait(kTuple);
    if (event.expiry() == before) co_return Errc::cancelled;
  }
}

TEST_F(DeadlineTest, EndsWhatWasBetweenTwoWaitsAtTheDeadline) {
  group.spawn([this] { return watch(read_for_ever(event)); });
  context.poll();
  clock.advance(1h);                      // the deadline is in the queue,
  event.expires_at(event.expiry() - 1h);  // and behind it a completion
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::timed_out);
}

TEST_F(DeadlineTest, EndsWhatWasBetweenTwoWaitsWhenTheCallerWasToldToStop) {
  group.spawn([this] { return watch(read_for_ever(event)); });
  context.poll();
  event.expires_at(event.expiry() - 1h);
  group.cancel();
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::cancelled);
}

TEST_F(DeadlineTest, CallerCanBeToldAfterTheDeadline) {
  bool told = false;
  const auto stubborn = [&]() -> awaitable<Result<int>> {
    for (int waits = 0; waits < 3; ++waits) co_await clock.sleep_for(24h);
    told = true;
    co_return Errc::cancelled;
  };
  group.spawn([&] { return watch(stubborn()); });
  context.poll();
  clock.advance(1h);
  context.poll();
  group.cancel();
  context.poll();
  group.cancel();
  context.poll();
  EXPECT_TRUE(told);  // without any of the waits between two repetitions
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::cancelled);
}

TEST_F(DeadlineTest, HoldsByTheMachinesTimeToo) {
  group.spawn([this] { return watch_for(1ms, read_for_ever(event)); });
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::timed_out);
  // Told to stop, between two waits again.
  context.restart();
  group.spawn([this] { return watch_for(1h, read_for_ever(event)); });
  context.poll();
  event.expires_at(event.expiry() - 1h);
  group.cancel();
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::cancelled);
  const auto later = []() -> awaitable<Result<int>> {
    co_await asio::post(kTuple);
    co_return 2;
  };
  EXPECT_EQ(test::run(context, with_deadline(machine, 1h, later())), Result<int>(2));
}

TEST_F(DeadlineTest, ReturnsWhatWasThereInTime) {
  const auto at_once = []() -> awaitable<Result<int>> { co_return 1; };
  EXPECT_EQ(test::run(context, with_deadline(clock, 1h, at_once())), Result<int>(1));
  EXPECT_EQ(clock.sleepers(), 0U);
  const auto later = []() -> awaitable<Result<int>> {
    co_await asio::post(kTuple);
    co_return 2;
  };
  EXPECT_EQ(test::run(context, with_deadline(clock, 1h, later())), Result<int>(2));
  EXPECT_EQ(clock.sleepers(), 0U);
}

TEST_F(DeadlineTest, ExceptionOfTheOperationReachesTheCaller) {
  const auto throws = []() -> awaitable<Result<int>> {
    co_await asio::post(kTuple);
    throw std::runtime_error("on purpose");
  };
  EXPECT_THROW(test::run(context, with_deadline(clock, 1h, throws())), std::runtime_error);
}

}  // namespace
}  // namespace hagring
