// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "userspace/base/bytes.hpp"

namespace hagring::kad {

/// `duration` in whole seconds; 0 for a negative one.
inline std::uint64_t seconds_of(auto duration) {
  const auto count = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

/// Appends to a snapshot: numbers big-endian in `size` bytes.
inline void put(Bytes& out, std::uint64_t value, unsigned size) {
  while (size > 0) out.push_back(static_cast<std::uint8_t>(value >> (8 * --size)));
}

inline void put(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Bytes with their length in `size` bytes before them.
inline void put_counted(Bytes& out, ByteView bytes, unsigned size) {
  put(out, bytes.size(), size);
  put(out, bytes);
}

/// Reads a snapshot until its end; afterwards everything is zero and empty and failed() holds.
class SnapshotSource {
 public:
  explicit SnapshotSource(ByteView rest) : rest_(rest) {}

  bool failed() const { return failed_; }

  ByteView bytes(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::uint64_t number(unsigned size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8 | byte;
    return value;
  }

  ByteView counted(unsigned size) { return bytes(number(size)); }

 private:
  ByteView rest_;
  bool failed_ = false;
};

}  // namespace hagring::kad
