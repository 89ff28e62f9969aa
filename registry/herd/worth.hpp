// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>

#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// Whether herds are worth the wait: where nodes can't reach each other (a firewall before the peer
/// port, say) every pull would wait in vain, so after some that did none is joined for a while. Any
/// thread may use it.
class Worth {
 public:
  struct Options {
    unsigned most_in_vain = 3;  ///< in a row
    Duration pause = std::chrono::seconds(60);
    /// How long, and after which time again, coordinators are believed that an origin limits
    /// requests.
    Duration limited = std::chrono::seconds(60);
    Duration limited_again = std::chrono::seconds(120);
  };
  explicit Worth(Clock& clock) : Worth(clock, Options()) {}
  Worth(Clock& clock, Options options) : clock_(clock), options_(options) {}

  bool may_join() const {
    const std::lock_guard lock(mutex_);
    return clock_.now() >= until_;
  }
  /// A client has waited, and nothing came.
  void in_vain() {
    const std::lock_guard lock(mutex_);
    if (++count_ < options_.most_in_vain) return;
    // The first one after the pause tries it; if that is in vain, too, there is another pause.
    count_ = options_.most_in_vain - 1;
    until_ = clock_.now() + options_.pause;
  }
  /// Something has come from a herd, or it has been given something.
  void useful() {
    const std::lock_guard lock(mutex_);
    count_ = 0;
  }
  /// Whether it is believed that the origin limits requests, so that this node's client is sent
  /// away unheard. Threat: a member that makes it up; so at times a node asks by itself.
  bool believes_limit() {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    if (!limited_at_ || now - *limited_at_ >= options_.limited_again) limited_at_ = now;
    return now - *limited_at_ < options_.limited;
  }

 private:
  Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  unsigned count_ = 0;
  TimePoint until_{};
  std::optional<TimePoint> limited_at_;  ///< when that was first said
};

}  // namespace hagring::herd
