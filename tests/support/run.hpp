// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "userspace/base/asio.hpp"

namespace hagring::test {

/// Runs `operation` on `context` until it ends and returns its value. Throws when it hasn't ended
/// within `limit`: a test must never hang.
template <typename T>
T run(asio::io_context& context, awaitable<T> operation,
      std::chrono::steady_clock::duration limit = std::chrono::seconds(30)) {
  std::exception_ptr failure;
  bool done = false;
  std::optional<std::conditional_t<std::is_void_v<T>, int, T>> value;
  const auto body = [&]() -> awaitable<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    if constexpr (std::is_void_v<T>) {
      co_await std::move(operation);
    } else {
      value.emplace(co_await std::move(operation));
    }
  };
  asio::co_spawn(context, body(), [&](std::exception_ptr error) {
    failure = error;
    done = true;
  });
  const auto end = std::chrono::steady_clock::now() + limit;
  context.restart();
  while (!done && std::chrono::steady_clock::now() < end) {
    if (context.run_one_for(std::chrono::milliseconds(100)) == 0) context.restart();
  }
  if (!done) throw std::runtime_error("the test's operation did not end in time");
  if (failure) std::rethrow_exception(failure);
  if constexpr (!std::is_void_v<T>) return std::move(*value);
}

}  // namespace hagring::test
