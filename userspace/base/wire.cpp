// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/wire.hpp"

namespace hagring::proto {
namespace {

// Wire types (protobuf documentation, "Encoding").
constexpr unsigned kVarint = 0;
constexpr unsigned kFixed64 = 1;
constexpr unsigned kLengthDelimited = 2;
constexpr unsigned kFixed32 = 5;
constexpr std::size_t kMaxVarint = 10;
constexpr std::uint64_t kMaxFieldNumber = (1U << 29) - 1;

}  // namespace

std::optional<std::uint64_t> Reader::varint() {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < rest_.size() && i < kMaxVarint; ++i) {
    value |= static_cast<std::uint64_t>(rest_[i] & 0x7f) << (7 * i);
    if ((rest_[i] & 0x80) != 0) continue;
    rest_ = rest_.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Reader::fixed(std::size_t size) {
  if (rest_.size() < size) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(rest_[i]) << (8 * i);
  rest_ = rest_.subspan(size);
  return value;
}

std::optional<Field> Reader::next() {
  if (malformed_ || rest_.empty()) return std::nullopt;
  malformed_ = true;  // until the field is whole
  const auto tag = varint();
  if (!tag || *tag >> 3 == 0 || *tag >> 3 > kMaxFieldNumber) return std::nullopt;
  Field field;
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  std::optional<std::uint64_t> value;
  switch (*tag & 7) {
    case kVarint:
      value = varint();
      break;
    case kFixed64:
      value = fixed(8);
      break;
    case kFixed32:
      value = fixed(4);
      break;
    case kLengthDelimited:
      value = varint();
      if (!value || *value > rest_.size()) return std::nullopt;
      field.is_bytes = true;
      field.bytes = rest_.first(*value);
      rest_ = rest_.subspan(*value);
      break;
    default:
      return std::nullopt;
  }
  if (!value) return std::nullopt;
  field.value = *value;
  malformed_ = false;
  return field;
}

void Writer::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) message_.push_back(static_cast<std::uint8_t>(value | 0x80));
  message_.push_back(static_cast<std::uint8_t>(value));
}

void Writer::number(std::uint32_t field, std::uint64_t value) {
  varint(std::uint64_t{field} << 3 | kVarint);
  varint(value);
}

void Writer::bytes(std::uint32_t field, ByteView value) {
  varint(std::uint64_t{field} << 3 | kLengthDelimited);
  varint(value.size());
  message_.insert(message_.end(), value.begin(), value.end());
}

}  // namespace hagring::proto
