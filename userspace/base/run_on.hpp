// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "userspace/base/result.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace detail {

/// Where a caller on one thread waits for a task on another. Owned by both.
template <typename T>
class Rendezvous {
 public:
  using Handler = std::function<void(Result<T>)>;

  explicit Rendezvous(Handler handler) : handler_(std::move(handler)) {}

  /// Gives the caller its result, the first one only; from any thread.
  void give(Result<T> result) {
    // The lock is held while the result is posted: who gives the wait up returns after it, and so
    // the caller's context is still there.
    const std::lock_guard lock(mutex_);
    if (auto handler = std::exchange(handler_, nullptr)) handler(std::move(result));
  }

 private:
  std::mutex mutex_;
  Handler handler_;
};

}  // namespace detail

/// Runs `operation`, a callable that returns awaitable<Result<T>>, as a task of `group` on the
/// group's own thread (`executor`), for a caller on any thread, which goes on on its own executor.
/// Cancelling the caller ends its wait at once with Errc::cancelled; the operation then runs to its
/// end by itself, so it needs a deadline of its own and must own what it refers to. `group` has to
/// outlive every call.
template <typename T, typename Operation>
awaitable<Result<T>> run_on(asio::any_io_executor executor, TaskGroup& group, Operation operation) {
  const auto home = co_await asio::this_coro::executor;
  const auto initiate = [&](auto completion) {
    auto slot = asio::get_associated_cancellation_slot(completion);
    auto waiting = std::make_shared<decltype(completion)>(std::move(completion));
    const auto resume = [home, waiting, slot](Result<T> result) {
      asio::post(home, [waiting, slot, result = std::move(result)]() mutable {
        if (slot.is_connected()) slot.clear();
        auto handler = std::move(*waiting);
        std::move(handler)(std::move(result));
      });
    };
    auto rendezvous = std::make_shared<detail::Rendezvous<T>>(resume);
    if (slot.is_connected()) {
      slot.assign(
          [rendezvous](asio::cancellation_type) { rendezvous->give(Result<T>(Errc::cancelled)); });
    }
    asio::post(executor, [&group, rendezvous, operation = std::move(operation)]() mutable {
      group.spawn([rendezvous, operation = std::move(operation)]() mutable -> awaitable<void> {
        rendezvous->give(co_await operation());
      });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<T>)>(
      initiate, asio::use_awaitable);
}

}  // namespace hagring
