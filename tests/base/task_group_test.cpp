// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/task_group.hpp"

#include <gtest/gtest.h>

#include "tests/support/run.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

struct TaskGroupTest : testing::Test {
  asio::io_context context;
  SystemClock clock;
  TaskGroup group{context.get_executor(), "test"};
};

TEST_F(TaskGroupTest, DrainWaitsForEveryTask) {
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    group.spawn([this, &ended, i]() -> awaitable<void> {
      co_await clock.sleep_for(std::chrono::milliseconds(i));
      ++ended;
    });
  }
  EXPECT_EQ(group.size(), 3U);
  test::run(context, group.drain());
  EXPECT_EQ(ended, 3);
}

TEST_F(TaskGroupTest, CancelReachesTasksWithoutThrowing) {
  bool reached_end = false;
  group.spawn([this, &reached_end]() -> awaitable<void> {
    co_await clock.sleep_for(1h);
    co_await clock.sleep_for(1ms);  // after a cancellation the task still may tidy up
    reached_end = true;
  });
  context.poll();
  group.cancel();
  test::run(context, group.drain());
  EXPECT_TRUE(reached_end);
}

TEST_F(TaskGroupTest, DrainOutlivesTheCancellationOfItsCaller) {
  bool ended = false;
  const auto tidy = [this, &ended]() -> awaitable<void> {
    co_await clock.sleep_for(30ms);
    ended = true;
  };
  group.spawn(tidy);
  const auto drain = [this]() -> awaitable<Result<int>> {
    co_await group.drain();
    co_return 1;
  };
  EXPECT_EQ(test::run(context, with_deadline(clock, 1ms, drain())), Result<int>(1));
  EXPECT_TRUE(ended);
}

TEST_F(TaskGroupTest, CallerCanBeCancelledAfterADrain) {
  group.spawn([this]() -> awaitable<void> { co_await clock.sleep_for(1ms); });
  const auto drain_and_sleep = [this]() -> awaitable<Result<int>> {
    co_await group.drain();
    co_await clock.sleep_for(1h);
    co_return 1;
  };
  EXPECT_TRUE(test::run(context, with_deadline(clock, 20ms, drain_and_sleep())));
}

TEST_F(TaskGroupTest, CancellationIsNotTakenForADeadlineThatPassed) {
  std::optional<error_code> seen;
  group.spawn([this, &seen]() -> awaitable<void> {
    const auto forever = [this]() -> awaitable<Result<int>> {
      co_await clock.sleep_for(1h);
      co_return Errc::cancelled;
    };
    seen = (co_await with_deadline(clock, 1h, forever())).error();
  });
  context.poll();
  group.cancel();
  test::run(context, group.drain());
  EXPECT_EQ(seen, Errc::cancelled);
}

TEST_F(TaskGroupTest, ExceptionEndsOnlyItsTask) {
  group.spawn([]() -> awaitable<void> {
    throw std::runtime_error("on purpose");
    co_return;
  });
  test::run(context, group.drain());
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace hagring
