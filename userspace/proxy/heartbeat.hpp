// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/bell.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::proxy {

/// Tells the hook that connections will be served. It beats on the accept loop's executor, and only
/// while every other thread that a connection needs answers, too: whoever hangs stops the
/// redirection, and pulls go to the origin.
class Heartbeat {
 public:
  struct Options {
    /// Well below the hook's time-out of 500 ms.
    Duration interval = std::chrono::milliseconds(75);
    /// How old a thread's last answer may be.
    Duration patience = std::chrono::milliseconds(300);
  };

  /// All called on the executor of run().
  struct Hooks {
    std::function<bool()> willing;     ///< before each beat: such as whether the listener has room
    std::function<void()> beat;        ///< all threads answer, and we are willing
    std::function<void()> alive = {};  ///< all threads answer
  };

  /// `watched`: the executors that must answer; their contexts outlive run().
  Heartbeat(std::vector<asio::any_io_executor> watched, Hooks hooks, Options options);
  ~Heartbeat();

  /// Beats until it is cancelled. Logs when it stops beating because of a thread, and when it
  /// goes on.
  awaitable<void> run();

 private:
  struct Pulse;

  awaitable<void> pause();
  void ask(std::size_t index);
  bool all_answer(TimePoint now);

  std::vector<asio::any_io_executor> watched_;
  Hooks hooks_;
  Options options_;
  /// Each shared with the question that waits in the thread's queue.
  std::vector<std::shared_ptr<Pulse>> pulses_;
  /// Rung at each answer; shared with the questions, too.
  std::shared_ptr<Bell> answer_ = std::make_shared<Bell>();
  bool started_ = false;  ///< every thread has answered once
  bool complained_ = false;
};

}  // namespace hagring::proxy
