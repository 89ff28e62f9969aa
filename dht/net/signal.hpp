// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::dht {

/// Something that coroutines of one thread wait for; waking when nobody waits is lost, so ask
/// first. With a limit only one may wait at a time.
class Signal {
 public:
  explicit Signal(const asio::any_io_executor& executor) : timer_(executor, TimePoint::max()) {}
  /// Errors: Errc::timed_out after `limit` (zero: none), Errc::cancelled.
  awaitable<Result<void>> wait(Duration limit = Duration::zero());
  void wake() { timer_.cancel(); }

 private:
  asio::steady_timer timer_;
};

}  // namespace hagring::dht
