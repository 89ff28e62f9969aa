// SPDX-License-Identifier: Apache-2.0
#include "tests/support/manual_clock.hpp"

#include <gtest/gtest.h>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::test {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, WakesWhoIsDueAndNobodyElse) {
  asio::io_context context;
  ManualClock clock;
  TaskGroup group(context.get_executor(), "test");
  std::vector<int> woken;
  for (const int seconds : {3, 1, 2}) {
    group.spawn([&, seconds]() -> awaitable<void> {
      co_await clock.sleep_for(std::chrono::seconds(seconds));
      woken.push_back(seconds);
    });
  }
  while (clock.sleepers() < 3) context.run_one();
  const auto wall = clock.wall();
  clock.advance(2s);
  EXPECT_EQ(clock.wall() - wall, 2s);
  while (clock.sleepers() > 1) context.run_one();
  EXPECT_EQ(woken, (std::vector{1, 2}));
  clock.advance(1s);
  run(context, group.drain());
  EXPECT_EQ(woken.size(), 3U);
}

TEST(ManualClock, SleepEndsWhenItsCoroutineIsCancelled) {
  asio::io_context context;
  ManualClock clock;
  TaskGroup group(context.get_executor(), "test");
  group.spawn([&]() -> awaitable<void> { co_await clock.sleep_for(1h); });
  while (clock.sleepers() < 1) context.run_one();
  group.cancel();
  run(context, group.drain());
  EXPECT_EQ(clock.sleepers(), 0U);
}

}  // namespace
}  // namespace hagring::test
