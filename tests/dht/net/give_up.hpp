// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht::test {

/// What comes of an operation whose peer stalls when its deadline passes; it must still be waiting
/// until then.
template <typename T>
error_code give_up_on(asio::io_context& context, awaitable<Result<T>> operation) {
  hagring::test::ManualClock clock;
  TaskGroup group(context.get_executor(), "test");
  std::optional<Result<T>> result;
  group.spawn([&]() -> awaitable<void> {
    result.emplace(co_await with_deadline(clock, std::chrono::seconds(5), std::move(operation)));
  });
  context.restart();
  context.poll();
  EXPECT_FALSE(result);
  clock.advance(std::chrono::seconds(5));
  hagring::test::run(context, group.drain());
  return result->error();
}

}  // namespace hagring::dht::test
