// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/deadline.hpp"

#include <exception>

#include "userspace/base/watch.hpp"

namespace hagring::detail {
namespace {

TimePoint end_of(const Clock& clock, Duration limit) {
  const auto now = clock.now();
  return limit > TimePoint::max() - now ? TimePoint::max() : now + limit;
}

}  // namespace

awaitable<bool> run_until(Clock& clock, Duration limit, awaitable<void> operation) {
  // An exception would leave the operation behind with nobody to wait for it.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  Watch watch(co_await asio::this_coro::executor, clock);
  watch.start(std::move(operation));
  co_await watch.wait(end_of(clock, limit));
  const bool is_late = watch.running() > 0;
  co_await watch.stop();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (watch.failure()) std::rethrow_exception(watch.failure());
  co_return is_late;
}

}  // namespace hagring::detail
