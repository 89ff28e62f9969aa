// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/clock.hpp"

#include <boost/asio/steady_timer.hpp>

namespace hagring {

awaitable<void> SystemClock::sleep_until(TimePoint when) {
  asio::steady_timer timer(co_await asio::this_coro::executor, when);
  co_await timer.async_wait(kTuple);
}

}  // namespace hagring
