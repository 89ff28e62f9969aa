// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "userspace/base/bytes.hpp"

namespace hagring::fuzz {

/// Takes a fuzzer's input apart; behind its end everything is zero and empty.
class Input {
 public:
  explicit Input(ByteView bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  ByteView rest() const { return rest_; }

  ByteView bytes(std::size_t size) {
    const auto taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  std::uint8_t byte() {
    const auto taken = bytes(1);
    return taken.empty() ? std::uint8_t{0} : taken[0];
  }

  /// How many bytes one read of a pipe may return: any number.
  std::size_t segment() {
    const auto size = byte();
    return size == 0 ? SIZE_MAX : size;
  }

 private:
  ByteView rest_;
};

}  // namespace hagring::fuzz
