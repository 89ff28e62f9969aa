// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/watch.hpp"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <stdexcept>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

struct WatchTest : testing::Test {
  awaitable<void> until(TimePoint end) {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (!co_await asked_to_stop()) co_await machine.sleep_until(end);
    ++ended;
  }
  awaitable<void> for_ever() { return until(TimePoint::max()); }
  awaitable<void> briefly() { return until(machine.now() + 1ms); }

  asio::io_context context;
  SystemClock machine;
  int ended = 0;
};

TEST_F(WatchTest, WaitsForOneAfterTheOther) {
  Watch watch(context.get_executor(), machine);
  test::run(context, [&]() -> awaitable<void> {
    watch.start(briefly());
    watch.start(until(machine.now() + 20ms));
    co_await watch.wait(TimePoint::max());
    EXPECT_EQ(watch.running(), 1U);
    co_await watch.wait(TimePoint::max());
    EXPECT_EQ(watch.running(), 0U);
    // Nothing is left to be waited for.
    co_await watch.wait(TimePoint::max());
  }());
  EXPECT_EQ(ended, 2);
}

TEST_F(WatchTest, TellsOfOneThatHasEndedBeforeTheWait) {
  Watch watch(context.get_executor(), machine);
  test::run(context, [&]() -> awaitable<void> {
    watch.start(briefly());
    watch.start(for_ever());
    co_await machine.sleep_for(20ms);
    EXPECT_EQ(watch.running(), 1U);
    co_await watch.wait(TimePoint::max());
    co_await watch.wait(machine.now() + 1ms);
    EXPECT_EQ(watch.running(), 1U);
    co_await watch.stop();
  }());
  EXPECT_EQ(ended, 2);
}

/// The caller goes on within the turn of the loop that ends what it waits for.
TEST_F(WatchTest, CallerGoesOnAtOnce) {
  Watch watch(context.get_executor(), machine);
  bool gone_on = false, turned = false;
  const auto turn = [&]() -> awaitable<void> {
    co_await asio::post(kTuple);
    asio::post(context, [&] { turned = true; });
  };
  test::run(context, [&]() -> awaitable<void> {
    watch.start(turn());
    co_await watch.wait(TimePoint::max());
    gone_on = true;
    EXPECT_FALSE(turned);
    co_await asio::post(kTuple);
  }());
  EXPECT_TRUE(gone_on);
  EXPECT_TRUE(turned);
}

TEST_F(WatchTest, CallerThatIsToldToStopIsNotFoundAtWorkByWhoTellsIt) {
  TaskGroup group(context.get_executor(), "test");
  bool told = false;
  group.spawn([&]() -> awaitable<void> {
    Watch watch(context.get_executor(), machine);
    watch.start(for_ever());
    co_await watch.wait(TimePoint::max());
    told = true;
    co_await watch.stop();
  });
  context.poll();
  group.cancel();
  EXPECT_FALSE(told);
  test::run(context, group.drain());
  EXPECT_TRUE(told);
  EXPECT_EQ(ended, 1);
}

TEST_F(WatchTest, OperationMayEndWhenTheCallerHasJustBeenToldToStop) {
  TaskGroup group(context.get_executor(), "test");
  asio::steady_timer event(context, TimePoint::max());
  const auto wait_for_it = [&]() -> awaitable<void> { co_await event.async_wait(kTuple); };
  int gone_on = 0;
  group.spawn([&]() -> awaitable<void> {
    Watch watch(context.get_executor(), machine);
    watch.start(wait_for_it());
    co_await watch.wait(TimePoint::max());
    ++gone_on;
    EXPECT_EQ(watch.running(), 0U);
    watch.start(briefly());
    while (watch.running() > 0) co_await watch.wait(TimePoint::max());
    ++gone_on;
  });
  context.poll();
  event.cancel();  // its end is in the queue, and behind it …
  group.cancel();  // … that the caller was told
  test::run(context, group.drain());
  EXPECT_EQ(gone_on, 2);
  EXPECT_EQ(ended, 1);
}

TEST_F(WatchTest, KeepsAnException) {
  test::ManualClock manual;
  for (Clock* clock : {static_cast<Clock*>(&machine), static_cast<Clock*>(&manual)}) {
    Watch watch(context.get_executor(), *clock);
    test::run(context, [&]() -> awaitable<void> {
      watch.start([]() -> awaitable<void> {
        co_await asio::post(kTuple);
        throw std::runtime_error("on purpose");
      }());
      co_await watch.wait(TimePoint::max());
      EXPECT_EQ(watch.running(), 0U);
    }());
    EXPECT_TRUE(watch.failure());
  }
}

/// With its context goes all that waits in it, also those that wait for others.
TEST_F(WatchTest, GoesWithItsContext) {
  struct Mark {
    bool& gone;
    ~Mark() { gone = true; }
  };
  bool gone = false;
  {
    asio::io_context own;
    asio::co_spawn(
        own,
        [&]() -> awaitable<void> {
          const Mark mark{gone};
          Watch watch(own.get_executor(), machine);
          watch.start(for_ever());
          co_await watch.wait(machine.now() + 1h);
        },
        [](std::exception_ptr) {});
    own.poll();
  }
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace hagring
