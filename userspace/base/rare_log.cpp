// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/rare_log.hpp"

#include <algorithm>

namespace hagring {

bool RareLog::line(log::Level level, std::string_view kind, std::string_view text) {
  if (!log::enabled(level)) return false;
  const auto now = clock_.now();
  auto found = kinds_.find(kind);
  if (found == kinds_.end()) found = kinds_.emplace(kind, Kind{.at = now}).first;
  auto& state = found->second;
  const std::chrono::duration<double> passed = now - std::exchange(state.at, now);
  state.allowance =
      std::min(kBurst, state.allowance + passed / std::chrono::duration<double>(kInterval));
  if (state.allowance < 1) {
    ++state.left_out;
    return false;
  }
  --state.allowance;
  if (const auto left_out = std::exchange(state.left_out, 0); left_out > 0) {
    log::line(level, part_, "{} ({} lines of this kind were left out before)", text, left_out);
  } else {
    log::line(level, part_, "{}", text);
  }
  return true;
}

}  // namespace hagring
