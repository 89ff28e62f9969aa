// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

#include "userspace/base/clock.hpp"

namespace hagring::containerd {

/// How many questions about unknown content may go to containerd: a burst, and then so many a
/// second. Threat: whoever reaches the peer port can ask for digests that nobody has, thousands a
/// second, and each would cost containerd a look into its database.
class LookupBudget {
 public:
  LookupBudget(const Clock& clock, std::size_t per_second)
      : clock_(clock), per_second_(per_second), left_(per_second), refilled_(clock.now()) {}

  /// Whether one more may be asked now; takes it if so.
  bool take() {
    const auto whole = std::chrono::floor<std::chrono::milliseconds>(clock_.now() - refilled_);
    const auto gained = static_cast<std::size_t>(whole.count()) * per_second_ / 1000;
    if (gained > 0) {
      left_ = std::min(per_second_, left_ + gained);
      refilled_ += whole;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  const Clock& clock_;
  const std::size_t per_second_;
  std::size_t left_;
  TimePoint refilled_;
};

}  // namespace hagring::containerd
