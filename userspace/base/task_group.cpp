// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/task_group.hpp"

#include <cassert>
#include <exception>

#include "userspace/base/log.hpp"

namespace hagring {

void log_exception(const std::string& name, const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    log::error(name, "a task ended with an exception: {}", exception.what());
  }
}

TaskGroup::TaskGroup(asio::any_io_executor executor, std::string name)
    : executor_(std::move(executor)),
      name_(std::move(name)),
      emptied_(executor_, asio::steady_timer::time_point::max()) {}

TaskGroup::~TaskGroup() { assert(tasks_.empty() && "drain a TaskGroup before it goes"); }

void TaskGroup::cancel() {
  // A task may end inside emit() and take its list node along: step on first.
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    auto current = task++;
    current->emit(asio::cancellation_type::terminal);
  }
}

awaitable<void> TaskGroup::drain() {
  // A coroutine of its own waits: its deafness to cancellation must not stay with the caller.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!tasks_.empty()) co_await asio::co_spawn(executor_, wait_until_empty(), kTuple);
  co_await asio::this_coro::throw_if_cancelled(throws);
}

awaitable<void> TaskGroup::wait_until_empty() {
  // Not interruptible: children may refer to what the caller is about to destroy.
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (!tasks_.empty()) co_await emptied_.async_wait(kTuple);
}

void TaskGroup::end(Tasks::iterator task, std::exception_ptr error) {
  log_exception(name_, error);
  tasks_.erase(task);
  if (tasks_.empty()) emptied_.cancel();
}

}  // namespace hagring
