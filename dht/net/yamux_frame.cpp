// SPDX-License-Identifier: Apache-2.0
#include "dht/net/yamux_frame.hpp"

namespace hagring::dht {
namespace {

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return value;
}

}  // namespace

std::array<std::uint8_t, YamuxHeader::kSize> YamuxHeader::encode() const {
  const auto byte = [](std::uint32_t value, int shift) {
    return static_cast<std::uint8_t>(value >> shift);
  };
  return {0,
          static_cast<std::uint8_t>(type),
          byte(flags, 8),
          byte(flags, 0),
          byte(stream, 24),
          byte(stream, 16),
          byte(stream, 8),
          byte(stream, 0),
          byte(length, 24),
          byte(length, 16),
          byte(length, 8),
          byte(length, 0)};
}

bool YamuxHeader::decode(std::span<const std::uint8_t, kSize> bytes, YamuxHeader& into) {
  if (bytes[0] != 0 || bytes[1] > static_cast<std::uint8_t>(Type::go_away)) return false;
  into.type = static_cast<Type>(bytes[1]);
  into.flags = static_cast<std::uint16_t>(big_endian(bytes.subspan(2, 2)));
  into.stream = big_endian(bytes.subspan(4, 4));
  into.length = big_endian(bytes.subspan(8, 4));
  const bool of_stream = into.type == Type::data || into.type == Type::window;
  return of_stream == (into.stream != 0);
}

}  // namespace hagring::dht
