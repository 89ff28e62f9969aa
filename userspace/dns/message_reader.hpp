// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "userspace/base/bytes.hpp"

namespace hagring::dns {

/// Reads a message from its beginning; whoever reads beyond its end has failed.
class MessageReader {
 public:
  explicit MessageReader(ByteView message) : message_(message) {}

  bool failed() const { return failed_; }
  bool at_end() const { return offset_ == message_.size(); }
  std::size_t offset() const { return offset_; }

  std::uint8_t byte() {
    if (offset_ >= message_.size()) {
      failed_ = true;
      return 0;
    }
    return message_[offset_++];
  }
  std::uint16_t number16() {
    const auto high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  void skip(std::size_t size) {
    if (size > message_.size() - offset_) failed_ = true;
    offset_ = failed_ ? message_.size() : offset_ + size;
  }
  void fail() { failed_ = true; }

 private:
  ByteView message_;
  std::size_t offset_ = 0;
  bool failed_ = false;
};

}  // namespace hagring::dns
