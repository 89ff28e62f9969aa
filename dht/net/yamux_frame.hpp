// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>

#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// A yamux frame's header (hashicorp/yamux, spec.md, "Framing").
struct YamuxHeader {
  static constexpr std::size_t kSize = 12;

  enum class Type : std::uint8_t { data = 0, window = 1, ping = 2, go_away = 3 };
  enum Flag : std::uint16_t { syn = 1, ack = 2, fin = 4, rst = 8 };

  Type type = Type::data;
  std::uint16_t flags = 0;
  std::uint32_t stream = 0;
  std::uint32_t length = 0;  ///< or a credit, a ping's value, an error code

  bool has(Flag flag) const { return (flags & flag) != 0; }

  std::array<std::uint8_t, kSize> encode() const;
  /// False when version or type aren't known, or a stream's frame has no stream.
  static bool decode(std::span<const std::uint8_t, kSize> bytes, YamuxHeader& into);

  bool operator==(const YamuxHeader&) const = default;
};

}  // namespace hagring::dht
