// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <list>
#include <string>
#include <utility>

#include "userspace/base/asio.hpp"

namespace hagring {

/// Whether the calling coroutine has been cancelled. A cancellation that comes while an operation's
/// completion is queued ends neither that operation nor the next: ask before each wait of a loop.
inline awaitable<bool> asked_to_stop() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

/// Logs with what a task of `name` has ended, if it is an exception.
void log_exception(const std::string& name, const std::exception_ptr& error);

/// Owns coroutines: each co_spawn of the program belongs to one. Used from one thread only, that
/// of its executor. Tasks see cancellation as errors of their operations, never as exceptions, so
/// a loop must end when an operation returns an error for which is_cancelled() holds.
/// An exception that leaves a task is logged as an error under the group's name.
class TaskGroup {
 public:
  TaskGroup(asio::any_io_executor executor, std::string name);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  /// The group must be empty: drain it first.
  ~TaskGroup();

  /// Starts `function`, a callable that returns awaitable<void>; it is kept alive until its
  /// coroutine has ended, so a lambda with captures is safe.
  template <typename Function>
  void spawn(Function function) {
    auto task = tasks_.emplace(tasks_.end());
    asio::co_spawn(executor_, run(std::move(function)),
                   asio::bind_cancellation_slot(
                       task->slot(), [this, task](std::exception_ptr error) { end(task, error); }));
  }

  /// Asks every task to stop (terminal cancellation). Tasks spawned later are not affected.
  void cancel();

  /// Returns when no task is left. Cancellation of the caller doesn't shorten it; the caller sees
  /// it afterwards.
  awaitable<void> drain();

  std::size_t size() const { return tasks_.size(); }

 private:
  using Tasks = std::list<asio::cancellation_signal>;

  template <typename Function>
  static awaitable<void> run(Function function) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await function();
  }

  awaitable<void> wait_until_empty();
  void end(Tasks::iterator task, std::exception_ptr error);

  asio::any_io_executor executor_;
  std::string name_;
  Tasks tasks_;
  asio::steady_timer emptied_;
};

}  // namespace hagring
