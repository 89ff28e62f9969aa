// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// What a request under way shares with others to the same server: a clock by which its deadline
/// (with_deadline) comes at once when one of them has found out that the server is dead. Used on
/// the request's own executor.
class Fate final : public Clock {
 public:
  /// `clock` outlives it.
  Fate(asio::any_io_executor executor, Clock& clock)
      : executor_(std::move(executor)), clock_(clock) {}

  /// From now on every time has come.
  void seal();
  bool sealed() const { return sealed_; }
  const asio::any_io_executor& executor() const { return executor_; }

  TimePoint now() const override { return clock_.now(); }
  WallTime wall() const override { return clock_.wall(); }
  awaitable<void> sleep_until(TimePoint when) override;

 private:
  const asio::any_io_executor executor_;
  Clock& clock_;
  asio::cancellation_signal sleep_;
  bool sealed_ = false;
};

}  // namespace hagring::registry
