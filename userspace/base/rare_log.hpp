// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "userspace/base/clock.hpp"
#include "userspace/base/log.hpp"

namespace hagring {

/// Log lines that strangers can provoke: of each kind a few at once, then one every ten seconds,
/// with the number of those left out, so that nobody can fill the disk.
class RareLog {
 public:
  static constexpr double kBurst = 5;
  static constexpr Duration kInterval = std::chrono::seconds(10);

  /// `clock` must outlive this.
  RareLog(Clock& clock, std::string part) : clock_(clock), part_(std::move(part)) {}

  /// Writes `text`, unless lines of its kind came too often. `kind` is one of a few constants.
  /// Returns whether it was written.
  bool line(log::Level level, std::string_view kind, std::string_view text);

 private:
  struct Kind {
    double allowance = kBurst;
    TimePoint at;
    std::size_t left_out = 0;
  };

  Clock& clock_;
  std::string part_;
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace hagring
