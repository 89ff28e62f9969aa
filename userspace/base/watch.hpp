// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <memory>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"

namespace hagring {

/// Operations that a coroutine runs and waits for, at most two: until one has ended, a time has
/// come/// or the coroutine is itself told to stop. By the machine's clock the caller goes on
/// within the turn of the loop in which an operation ends. All must have ended (stop) before the
/// watch goes. Used from one thread; the caller's own cancellation must not throw
/// (throw_if_cancelled).
///
/// Asio's parallel_group hands on one cancellation only, the first (Boost 1.81,
/// experimental/impl/parallel_group.hpp, "cancellations_requested_"), and that one is lost when it
/// meets a completion in the queue. So the caller itself watches here.
class Watch {
 public:
  /// `executor` is the caller's, and where operations run.
  Watch(asio::any_io_executor executor, Clock& clock);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  /// Begins with one. What it throws is kept: failure().
  void start(awaitable<void> operation);

  /// Waits until one has ended since the last wait, until `end` by the clock, or until the caller
  /// is told to stop during the wait.
  awaitable<void> wait(TimePoint end);

  /// Tells them to stop, again and again until none is left: one that is told between two of its
  /// waits hasn't heard it.
  awaitable<void> stop();

  /// How many haven't ended.
  std::size_t running() const { return started_ - ended_; }
  /// With what one of them has thrown, or null.
  const std::exception_ptr& failure() const { return failure_; }

 private:
  class Sleeper;
  template <typename Handler>
  class SleeperOf;
  struct Bed;
  struct Operation {
    asio::cancellation_signal signal;
    bool ended = false;
  };

  void end(Operation& operation, std::exception_ptr error);
  awaitable<void> rest(TimePoint end);
  awaitable<void> rest_by_clock(TimePoint end);
  void wake_later();

  asio::any_io_executor executor_;
  Clock& clock_;
  const bool by_machine_;  ///< the clock is the machine's
  std::array<Operation, 2> operations_;
  std::size_t started_ = 0;
  std::size_t ended_ = 0;
  std::size_t seen_ = 0;  ///< ended ones that a wait has returned for
  /// Where the caller rests. It belongs to the operations: when they are destroyed with their
  /// context, so is the caller.
  std::weak_ptr<Bed> bed_;
  asio::cancellation_signal sleep_;  ///< by a clock that isn't the machine's
  std::exception_ptr failure_;
};

}  // namespace hagring
