// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <mutex>

#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {

/// Wakes coroutines of any thread when something that they share has changed. Who changes it rings
/// afterwards; nobody polls. Executors of those that wait must outlive the ringing.
class Bell {
 public:
  /// Those that wait look again, each on its own executor. Any thread; not under a lock that a
  /// `ready` takes.
  void ring() {
    const std::lock_guard lock(mutex_);
    for (const auto& timer : waiting_) {
      asio::post(timer->get_executor(), [timer] { timer->cancel(); });
    }
  }

  /// Waits until `ready()`, but not beyond `end`; whether it is ready. `ready` is called under the
  /// bell's lock, on the caller's thread. Cancellation ends the wait: ask asked_to_stop().
  template <typename Ready>
  awaitable<bool> wait(TimePoint end, Ready ready) {
    const auto home = co_await asio::this_coro::executor;
    while (true) {
      Waiting place;
      {
        const std::lock_guard lock(mutex_);
        if (ready()) co_return true;
        if (std::chrono::steady_clock::now() >= end) co_return false;
        place = waiting_.insert(waiting_.end(), std::make_shared<asio::steady_timer>(home, end));
      }
      const Leave leave(*this, place);
      if (co_await asked_to_stop()) co_return false;
      co_await (*place)->async_wait(kTuple);
      if (co_await asked_to_stop()) co_return false;
    }
  }

 private:
  using Waiting = std::list<std::shared_ptr<asio::steady_timer>>::iterator;

  class Leave {
   public:
    Leave(Bell& bell, Waiting place) : bell_(bell), place_(place) {}
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;
    ~Leave() {
      const std::lock_guard lock(bell_.mutex_);
      bell_.waiting_.erase(place_);
    }

   private:
    Bell& bell_;
    Waiting place_;
  };

  std::mutex mutex_;
  /// Shared with what has been posted to their executors.
  std::list<std::shared_ptr<asio::steady_timer>> waiting_;
};

}  // namespace hagring
