// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <optional>
#include <utility>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring {
namespace detail {

template <typename T>
awaitable<void> fill(std::optional<Result<T>>& into, awaitable<Result<T>> operation) {
  co_await asio::this_coro::throw_if_cancelled(false);
  into.emplace(co_await std::move(operation));
}

inline awaitable<void> sleep_unthrowing(Clock& clock, Duration limit) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await clock.sleep_for(limit);
}

}  // namespace detail

/// Runs `operation` and cancels it (terminal) after `limit`. Returns when it has really ended, so
/// whatever it refers to may live on the caller's frame; an operation that ignores cancellation
/// holds the caller up. Costs about 5 µs: on data paths use ByteStream::set_inactivity_limit.
/// Errors: Errc::timed_out, Errc::cancelled when the caller is told to stop, or what the operation
/// itself gives.
template <typename T>
awaitable<Result<T>> with_deadline(Clock& clock, Duration limit, awaitable<Result<T>> operation) {
  std::optional<Result<T>> result;
  auto executor = co_await asio::this_coro::executor;
  auto [order, failed, timer_failed] =
      co_await asio::experimental::make_parallel_group(
          asio::co_spawn(executor, detail::fill(result, std::move(operation)), asio::deferred),
          asio::co_spawn(executor, detail::sleep_unthrowing(clock, limit), asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (failed) std::rethrow_exception(failed);
  const bool timed_out = order[0] == 1;
  if (result && result->has_value()) co_return std::move(*result);
  // Told to stop from outside, both ended, in any order: that must not look like time passing, or a
  // loop of attempts would go on to the next.
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Errc::cancelled;
  if (result && !timed_out) co_return std::move(*result);
  co_return Errc::timed_out;
}

}  // namespace hagring
