// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace detail {

template <typename T>
awaitable<void> fill(std::optional<Result<T>>& into, awaitable<Result<T>> operation) {
  co_await asio::this_coro::throw_if_cancelled(false);
  into.emplace(co_await std::move(operation));
}

/// Runs `operation` and has it stop once `limit` has passed or the caller is told to stop: tells it
/// again and again until it has ended. Returns whether the limit had passed before.
awaitable<bool> run_until(Clock& clock, Duration limit, awaitable<void> operation);

}  // namespace detail

/// Runs `operation` and cancels it (terminal) after `limit`. Returns when it has really ended, so
/// whatever it refers to may live on the caller's frame; an operation that ignores cancellation
/// holds the caller up. A cancellation that falls between two waits of the operation isn't lost: it
/// is repeated, so only a loop that never has to wait must ask asked_to_stop(). Costs about
/// 0.6 µs where alarms may stay set (leave_alarms_set), else three times that: within a body use
/// ByteStream::set_inactivity_limit.
/// Errors: Errc::timed_out, Errc::cancelled when the caller is told to stop, or what the operation
/// itself gives.
template <typename T>
awaitable<Result<T>> with_deadline(Clock& clock, Duration limit, awaitable<Result<T>> operation) {
  std::optional<Result<T>> result;
  const bool timed_out =
      co_await detail::run_until(clock, limit, detail::fill(result, std::move(operation)));
  if (result && result->has_value()) co_return std::move(*result);
  // Told to stop from outside, both ended, in any order: that must not look like time passing, or a
  // loop of attempts would go on to the next.
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (result && !timed_out) co_return std::move(*result);
  co_return Errc::timed_out;
}

}  // namespace hagring
