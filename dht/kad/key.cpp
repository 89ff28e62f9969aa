// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/key.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "userspace/base/hasher.hpp"

namespace hagring::kad {

Key Key::of(ByteView wire) {
  const Bytes hash = sha256(wire);
  Key key;
  std::copy(hash.begin(), hash.end(), key.bytes_.begin());
  return key;
}

Key Key::sibling(std::size_t index, const Key& tail) const noexcept {
  Key key = tail;
  const std::size_t whole = index / 8;
  std::copy_n(bytes_.begin(), whole, key.bytes_.begin());
  const auto own = static_cast<std::uint8_t>(0xff << (7 - index % 8));
  const auto turned = static_cast<std::uint8_t>(bytes_[whole] ^ (1U << (7 - index % 8)));
  key.bytes_[whole] = static_cast<std::uint8_t>((turned & own) | (tail.bytes_[whole] & ~own));
  return key;
}

Key Key::with_tail(std::size_t bits, std::uint8_t fill) const noexcept {
  Key key = *this;
  if (bits >= kBits) return key;
  const std::size_t whole = bits / 8;
  const auto tail = static_cast<std::uint8_t>(0xff >> (bits % 8));
  key.bytes_[whole] = static_cast<std::uint8_t>((key.bytes_[whole] & ~tail) | (fill & tail));
  std::fill(key.bytes_.begin() + static_cast<std::ptrdiff_t>(whole) + 1, key.bytes_.end(), fill);
  return key;
}

double Key::fraction() const noexcept {
  std::uint64_t top = 0;
  for (std::size_t i = 0; i < sizeof top; ++i) top = top << 8 | bytes_[i];
  return std::ldexp(static_cast<double>(top >> 11), -53);
}

Key distance(const Key& a, const Key& b) noexcept {
  Key::Array bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
  }
  return Key(bytes);
}

bool nearer(const Key& target, const Key& a, const Key& b) noexcept {
  const auto differ = std::mismatch(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
  if (differ.first == a.bytes().end()) return false;
  const auto index = static_cast<std::size_t>(differ.first - a.bytes().begin());
  const std::uint8_t at = target.bytes()[index];
  return (*differ.first ^ at) < (*differ.second ^ at);
}

std::size_t common_prefix_length(const Key& a, const Key& b) noexcept {
  for (std::size_t i = 0; i < a.bytes().size(); ++i) {
    const auto differ = static_cast<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
    if (differ != 0) return i * 8 + static_cast<std::size_t>(std::countl_zero(differ));
  }
  return Key::kBits;
}

Bytes content_wire_key(std::string_view name) {
  Bytes wire = sha256(as_bytes(name));
  wire.insert(wire.begin(), {0x12, 0x20});
  return wire;
}

}  // namespace hagring::kad
