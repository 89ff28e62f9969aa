// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht::test {

/// Runs both operations at once on `context` to their ends.
template <typename A, typename B>
std::pair<A, B> both(asio::io_context& context, awaitable<A> first, awaitable<B> second) {
  std::optional<A> a;
  std::optional<B> b;
  hagring::test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { a.emplace(co_await std::move(first)); });
    group.spawn([&]() -> awaitable<void> { b.emplace(co_await std::move(second)); });
    co_await group.drain();
  }());
  return {std::move(*a), std::move(*b)};
}

}  // namespace hagring::dht::test
