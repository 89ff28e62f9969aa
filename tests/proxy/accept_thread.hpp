// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

#include "userspace/base/asio.hpp"
#include "userspace/base/data_threads.hpp"

namespace hagring::test {

/// Waits until `condition` holds; throws when that takes more than 20 s.
template <typename Condition>
void eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("it never came true");
    std::this_thread::yield();
  }
}

/// An io_context with a thread of its own, on which the test runs things and waits for them.
class AcceptThread {
 public:
  asio::any_io_executor executor() { return threads_.at(0).get_executor(); }

  template <typename Function>
  void call(Function function) {
    std::packaged_task<void()> task(std::move(function));
    auto done = task.get_future();
    asio::post(executor(), [&task] { task(); });
    done.get();
  }

  void run(awaitable<void> operation) {
    auto done = asio::co_spawn(executor(), std::move(operation), asio::use_future);
    if (done.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
      throw std::runtime_error("the test's operation did not end in time");
    }
    done.get();
  }

 private:
  DataThreads threads_{1, "accept"};
};

}  // namespace hagring::test
