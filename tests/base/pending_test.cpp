// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/pending.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"

namespace hagring {
namespace {

awaitable<Result<int>> give(int value) { co_return value; }

awaitable<Result<int>> fail() {
  throw std::runtime_error("on purpose");
  co_return 0;
}

awaitable<Result<int>> result_of(Clock& clock, awaitable<Result<int>> operation) {
  Pending<int> pending(co_await asio::this_coro::executor, clock, std::move(operation));
  co_return co_await pending.result();
}

TEST(Pending, GivesWhatTheOperationGave) {
  asio::io_context context;
  test::ManualClock clock;
  EXPECT_EQ(test::run(context, result_of(clock, give(7))).value(), 7);
}

TEST(Pending, EndsWithAnOperationThatThrows) {
  asio::io_context context;
  test::ManualClock clock;
  EXPECT_EQ(test::run(context, result_of(clock, fail())).error(), Errc::unavailable);
}

}  // namespace
}  // namespace hagring
