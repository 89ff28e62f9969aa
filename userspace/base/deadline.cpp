// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/deadline.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>

namespace hagring::detail {
namespace {

/// An operation that was told to stop between two of its waits is told again after so long. Not the
/// Clock's time: a clock that stands still must not keep anybody from ending.
constexpr auto kBetweenCancels = std::chrono::milliseconds(100);

/// The sleep may be cut short before it has begun.
awaitable<void> sleep(Clock& clock, Duration limit) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!co_await asked_to_stop()) co_await clock.sleep_for(limit);
}

/// Asio's parallel_group hands on one cancellation only, the first (Boost 1.81,
/// experimental/impl/parallel_group.hpp, "cancellations_requested_"), and that one is lost when it
/// meets a completion in the queue. So the caller itself watches here.
class Watch {
 public:
  explicit Watch(const asio::any_io_executor& executor) : again_(executor) {}

  void start(awaitable<void> operation) {
    asio::co_spawn(
        again_.get_executor(), std::move(operation),
        asio::bind_cancellation_slot(operation_.slot(), [this](std::exception_ptr error) {
          failure_ = error;
          ended_ = true;
          again_.cancel();
          sleep_.emit(asio::cancellation_type::terminal);
        }));
  }

  /// Returns when the operation has ended, the limit has passed or the caller is told to stop.
  awaitable<void> wait(Clock& clock, Duration limit) {
    if (ended_) co_return;
    // The machine's own time needs no coroutine that sleeps, which costs as much again as all else.
    if (dynamic_cast<const SystemClock*>(&clock) != nullptr) {
      again_.expires_after(limit);
      co_await again_.async_wait(kTuple);
      co_return;
    }
    auto told = (co_await asio::this_coro::cancellation_state).slot();
    // Asio clears the slot when the caller goes on.
    if (told.is_connected()) {
      told.assign(
          [this](asio::cancellation_type) { sleep_.emit(asio::cancellation_type::terminal); });
    }
    co_await asio::co_spawn(again_.get_executor(), sleep(clock, limit),
                            asio::bind_cancellation_slot(sleep_.slot(), kTuple));
  }

  awaitable<void> stop() {
    while (!ended_) {
      operation_.emit(asio::cancellation_type::terminal);
      if (ended_) break;
      again_.expires_after(kBetweenCancels);
      co_await again_.async_wait(kTuple);
    }
  }

  bool ended() const { return ended_; }
  const std::exception_ptr& failure() const { return failure_; }

 private:
  asio::cancellation_signal operation_, sleep_;
  asio::steady_timer again_;  ///< its wait ends when the operation does
  std::exception_ptr failure_;
  bool ended_ = false;
};

}  // namespace

awaitable<bool> run_until(Clock& clock, Duration limit, awaitable<void> operation) {
  // An exception would leave the operation behind with nobody to wait for it.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  Watch watch(co_await asio::this_coro::executor);
  watch.start(std::move(operation));
  co_await watch.wait(clock, limit);
  const bool is_late = !watch.ended();
  co_await watch.stop();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (watch.failure()) std::rethrow_exception(watch.failure());
  co_return is_late;
}

}  // namespace hagring::detail
