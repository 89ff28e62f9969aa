// SPDX-License-Identifier: Apache-2.0
#include "dht/net/signal.hpp"

#include "userspace/base/task_group.hpp"

namespace hagring::dht {

awaitable<Result<void>> Signal::wait(Duration limit) {
  if (limit != Duration::zero()) {
    timer_.expires_after(limit);
  } else if (timer_.expiry() != TimePoint::max()) {
    timer_.expires_at(TimePoint::max());
  }
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  const auto [woken] = co_await timer_.async_wait(kTuple);
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (!woken) co_return Errc::timed_out;
  co_return Result<void>();
}

}  // namespace hagring::dht
