// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "tests/support/run.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::test {

/// What comes of an operation in a task that has been told to stop just before it: as when the
/// cancellation meets a completion in the queue, nothing else tells the operation.
template <typename T>
Result<T> when_told_to_stop(asio::io_context& context, awaitable<Result<T>> operation) {
  TaskGroup group(context.get_executor(), "test");
  std::optional<Result<T>> result;
  group.spawn([&]() -> awaitable<void> {
    asio::steady_timer told(context, asio::steady_timer::time_point::max());
    co_await told.async_wait(kTuple);
    result.emplace(co_await std::move(operation));
  });
  context.restart();
  context.poll();
  group.cancel();
  run(context, group.drain());
  return std::move(*result);
}

}  // namespace hagring::test
