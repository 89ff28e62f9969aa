// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "userspace/base/bytes.hpp"

namespace hagring::proto {

/// One field of a protobuf message: a number, or bytes that lie in the message read.
struct Field {
  std::uint32_t number = 0;
  bool is_bytes = false;    ///< wire type 2; else a varint, or a fixed32 or fixed64
  std::uint64_t value = 0;  ///< of a number
  ByteView bytes;           ///< of a wire type 2

  std::string_view text() const { return as_text(bytes); }
};

/// Reads a protobuf message field by field, without copying; bounded by the message's own size.
/// Unknown fields are for the caller to skip. Groups (wire types 3 and 4) are malformed.
class Reader {
 public:
  explicit Reader(ByteView message) : rest_(message) {}

  /// The next field; nullopt at the end, and from then on if what follows is malformed.
  std::optional<Field> next();
  /// Whether the message broke the format.
  bool malformed() const { return malformed_; }

 private:
  std::optional<std::uint64_t> varint();
  std::optional<std::uint64_t> fixed(std::size_t size);

  ByteView rest_;
  bool malformed_ = false;
};

/// Writes fields in the order of the calls.
class Writer {
 public:
  void number(std::uint32_t field, std::uint64_t value);
  void bytes(std::uint32_t field, ByteView value);
  void text(std::uint32_t field, std::string_view value) { bytes(field, as_bytes(value)); }

  const Bytes& message() const { return message_; }
  Bytes take() { return std::move(message_); }

 private:
  void varint(std::uint64_t value);
  Bytes message_;
};

}  // namespace hagring::proto
