// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/heartbeat.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>

#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::proxy {

/// One thread's answers.
struct Heartbeat::Pulse {
  std::atomic<TimePoint::rep> answered = 0;
  std::atomic<bool> asked = false;  ///< one question at a time: a hung thread's queue doesn't grow

  bool has_answered() const { return answered != 0; }
  TimePoint when() const { return TimePoint(Duration(answered.load())); }
  void answer(TimePoint at) { answered = at.time_since_epoch().count(); }
};

Heartbeat::Heartbeat(std::vector<asio::any_io_executor> watched, Hooks hooks, Options options)
    : watched_(std::move(watched)), hooks_(std::move(hooks)), options_(options) {
  for (std::size_t i = 0; i < watched_.size(); ++i) pulses_.push_back(std::make_shared<Pulse>());
}

Heartbeat::~Heartbeat() = default;

awaitable<void> Heartbeat::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!co_await asked_to_stop()) {
    for (std::size_t i = 0; i < watched_.size(); ++i) ask(i);
    co_await pause();
    if (co_await asked_to_stop()) co_return;
    if (!all_answer(std::chrono::steady_clock::now())) continue;
    if (hooks_.alive) hooks_.alive();
    if (hooks_.willing()) hooks_.beat();
  }
}

/// For an interval; but nothing is redirected before the first beat, so that comes with the last
/// thread's first answer.
awaitable<void> Heartbeat::pause() {
  const auto answered = [this] {
    return std::ranges::all_of(pulses_, [](const auto& pulse) { return pulse->has_answered(); });
  };
  const auto end = std::chrono::steady_clock::now() + options_.interval;
  co_await answer_->wait(end, [&] { return !started_ && answered(); });
  started_ = started_ || answered();
}

void Heartbeat::ask(std::size_t index) {
  if (pulses_[index]->asked.exchange(true)) return;
  asio::post(watched_[index], [pulse = pulses_[index], bell = answer_] {
    pulse->answer(std::chrono::steady_clock::now());
    pulse->asked = false;
    bell->ring();
  });
}

bool Heartbeat::all_answer(TimePoint now) {
  for (std::size_t i = 0; i < pulses_.size(); ++i) {
    if (now - pulses_[i]->when() <= options_.patience) continue;
    if (!std::exchange(complained_, true)) {
      log::error("heartbeat",
                 "thread {} of {} does not answer: connections go past the mirror until it does", i,
                 pulses_.size());
    }
    return false;
  }
  if (std::exchange(complained_, false)) {
    log::info("heartbeat", "all threads answer again");
  }
  return true;
}

}  // namespace hagring::proxy
