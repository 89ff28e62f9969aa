// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::agent {

/// When memory that is free goes back to the system, and code that isn't run is unmapped: glibc
/// keeps what a burst took (half of the heap after a mesh of 100 nodes was told of 10,000 images),
/// and a search for it costs some milliseconds.
class IdleTrim {
 public:
  /// Between two looks.
  static constexpr Duration kInterval = std::chrono::seconds(10);

  /// Told each kInterval how much CPU time the process has used so far. True in a quiet interval
  /// when enough has been done since it was last true.
  bool is_due(Duration used);

 private:
  Duration last_{0};
  std::optional<Duration> trimmed_;  ///< what had been used then
};

/// Does both while the process is quiet, until cancelled.
awaitable<void> trim_when_idle(Clock& clock);

}  // namespace hagring::agent
