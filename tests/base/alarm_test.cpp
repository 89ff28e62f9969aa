// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/alarm.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

namespace hagring {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct AlarmTest : testing::Test {
  std::unique_ptr<Alarm> alarm(Duration in, int number) {
    return std::make_unique<Alarm>(context.get_executor(), begin + in,
                                   [this, number] { rung.push_back(number); });
  }
  asio::io_context context;
  TimePoint begin = steady_clock::now();
  std::vector<int> rung;
};

TEST_F(AlarmTest, RingInTheOrderOfTheirTimes) {
  const auto last = alarm(30ms, 3);
  const auto first = alarm(10ms, 1);
  const auto second = alarm(20ms, 2);
  context.run();
  EXPECT_EQ(rung, (std::vector{1, 2, 3}));
  EXPECT_GE(steady_clock::now(), begin + 30ms);
}

TEST_F(AlarmTest, ThoseThatHaveGoneDoNotRingNorKeepTheLoop) {
  auto gone = alarm(1h, 1);
  const auto stays = alarm(10ms, 2);
  gone.reset();
  gone = alarm(1h, 3);
  gone.reset();
  context.run();
  EXPECT_EQ(rung, std::vector{2});
  EXPECT_LT(steady_clock::now(), begin + 1h);
}

TEST_F(AlarmTest, LetsItsTimerStaySetWhereThatIsWanted) {
  leave_alarms_set(context);
  auto gone = alarm(10ms, 1);
  gone.reset();
  // The timer of the first rings in vain, and is set again.
  auto later = alarm(1h, 3);
  EXPECT_EQ(context.run_one(), 1U);
  EXPECT_EQ(rung, std::vector<int>{});
  later = alarm(10ms, 2);
  while (rung.empty() && context.run_one() > 0) continue;
  EXPECT_EQ(rung, std::vector{2});
}

TEST_F(AlarmTest, MayGoAndBeSetWhileOneRings) {
  auto other = alarm(5ms, 2);
  std::unique_ptr<Alarm> next, self;
  self = std::make_unique<Alarm>(context.get_executor(), begin, [&] {
    other.reset();
    next = alarm(1ms, 3);
    self.reset();
  });
  context.run();
  EXPECT_EQ(rung, std::vector{3});
}

TEST_F(AlarmTest, EachContextHasItsOwn) {
  asio::io_context other;
  const auto here = alarm(0ms, 1);
  const Alarm there(other.get_executor(), begin, [&] { rung.push_back(2); });
  context.run();
  EXPECT_EQ(rung, std::vector{1});
  other.run();
  EXPECT_EQ(rung, (std::vector{1, 2}));
}

}  // namespace
}  // namespace hagring
