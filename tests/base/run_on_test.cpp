// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/run_on.hpp"

#include <gtest/gtest.h>

#include "tests/support/run.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/data_threads.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

struct RunOnTest : testing::Test {
  DataThreads threads{1, "far"};
  asio::any_io_executor far = threads.at(0).get_executor();
  asio::io_context home;
  SystemClock clock;
  // Its tasks run on the far thread; the test only touches it there.
  TaskGroup group{far, "far"};

  void TearDown() override { asio::co_spawn(far, group.drain(), asio::use_future).get(); }
};

TEST_F(RunOnTest, RunsThereAndGoesOnHere) {
  std::thread::id ran_on;
  std::thread::id resumed_on;
  const auto caller = [&]() -> awaitable<Result<int>> {
    auto result = co_await run_on<int>(far, group, [&]() -> awaitable<Result<int>> {
      ran_on = std::this_thread::get_id();
      co_return 42;
    });
    resumed_on = std::this_thread::get_id();
    co_return result;
  };
  EXPECT_EQ(test::run(home, caller()), Result<int>(42));
  EXPECT_NE(ran_on, std::this_thread::get_id());
  EXPECT_EQ(resumed_on, std::this_thread::get_id());
}

TEST_F(RunOnTest, HandsErrorsOn) {
  const auto refuse = []() -> awaitable<Result<int>> { co_return Errc::not_found; };
  EXPECT_EQ(test::run(home, run_on<int>(far, group, refuse)), Result<int>(Errc::not_found));
}

TEST_F(RunOnTest, CancelledCallerDoesNotWaitForTheTask) {
  std::promise<void> release;
  auto released = release.get_future().share();
  // The far thread is busy: a caller that waited for it would never come back.
  asio::post(far, [released] { released.wait(); });
  const auto never = []() -> awaitable<Result<int>> { co_return 1; };
  const auto result = test::run(home, with_deadline(clock, 10ms, run_on<int>(far, group, never)));
  EXPECT_EQ(result, Result<int>(Errc::timed_out));
  release.set_value();
}

}  // namespace
}  // namespace hagring
