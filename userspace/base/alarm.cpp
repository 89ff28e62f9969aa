// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/alarm.hpp"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "userspace/base/result.hpp"

namespace hagring {

/// The alarms of one context.
class Alarms final : public asio::execution_context::service {
 public:
  static asio::execution_context::id id;

  explicit Alarms(asio::execution_context& context) : service(context) {}

  static Alarms& of(const asio::any_io_executor& executor) {
    return asio::use_service<Alarms>(asio::query(executor, asio::execution::context));
  }

  void add(const asio::any_io_executor& executor, TimePoint when, Alarm* alarm) {
    if (!timer_) timer_.emplace(executor);
    if (when < set_to_) set(when);
    // Last, so that none that has failed is left here.
    alarm->place_ = alarms_.emplace(when, alarm);
  }

  void remove(const Alarm& alarm) {
    if (!alarm.has_rung_) alarms_.erase(alarm.place_);
    if (!alarms_.empty() || stays_set_ || !timer_) return;
    ++round_;
    set_to_ = TimePoint::max();
    timer_->cancel();
  }

  void leave_set() { stays_set_ = true; }

 private:
  /// What is left goes with the coroutines that it belongs to.
  void shutdown() override { timer_.reset(); }

  void set(TimePoint when) {
    set_to_ = TimePoint::max();
    timer_->expires_at(when);
    timer_->async_wait([this, round = ++round_](const error_code&) {
      if (round == round_) ring();
    });
    set_to_ = when;
  }

  void ring() {
    set_to_ = TimePoint::max();
    // Those that are set meanwhile are later than this, so that there is an end.
    const auto now = std::chrono::steady_clock::now();
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
      auto& alarm = *alarms_.begin()->second;
      alarms_.erase(alarms_.begin());
      alarm.has_rung_ = true;
      const auto ring = std::move(alarm.ring_);
      ring();
    }
    if (!alarms_.empty() && alarms_.begin()->first < set_to_) set(alarms_.begin()->first);
  }

  std::multimap<TimePoint, Alarm*> alarms_;
  std::optional<asio::steady_timer> timer_;
  TimePoint set_to_ = TimePoint::max();
  unsigned round_ = 0;  ///< which of the timer's waits counts
  bool stays_set_ = false;
};

asio::execution_context::id Alarms::id;

Alarm::Alarm(const asio::any_io_executor& executor, TimePoint when, std::function<void()> ring)
    : alarms_(Alarms::of(executor)), ring_(std::move(ring)) {
  alarms_.add(executor, when, this);
}

Alarm::~Alarm() { alarms_.remove(*this); }

void leave_alarms_set(asio::execution_context& context) {
  asio::use_service<Alarms>(context).leave_set();
}

}  // namespace hagring
