// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/clock.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::systemd {

/// What a supervisor asks of a service by its environment (sd_notify(3), sd_watchdog_enabled(3)).
struct NotifierOptions {
  std::string socket{};                ///< NOTIFY_SOCKET; empty: nobody wants to know
  std::optional<Duration> watchdog{};  ///< WATCHDOG_USEC: killed after being silent that long

  /// As environment variables, which `get` reads, have it for process `self`. What can't be read is
  /// left out.
  static NotifierOptions from(const std::function<const char*(const char*)>& get, pid_t self);
};

/// Tells the supervisor how the agent is. Never waits; what can't be told is left untold, with a
/// line in the log the first time. Any thread.
class Notifier {
 public:
  Notifier(const Clock& clock, NotifierOptions options);

  /// The service does what it is for.
  void ready(std::string_view status);
  /// It is about to end.
  void stopping();
  /// All its threads answer. May be called often; the supervisor hears it three times within the
  /// time after which it kills.
  void alive();

  /// Whether somebody kills when alive() isn't called.
  bool is_watched() const { return interval_.has_value(); }

 private:
  void tell(std::string_view message);

  const Clock& clock_;
  UniqueFd socket_;
  std::optional<Duration> interval_;
  std::atomic<TimePoint::rep> told_{0};
  std::atomic<bool> complained_{false};
};

}  // namespace hagring::systemd
