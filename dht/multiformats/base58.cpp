// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/base58.hpp"

#include <algorithm>

namespace hagring::dht {
namespace {

constexpr std::string_view kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::string_view kBase36 = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

/// Turns digits of base `from` into digits of base `to`, both big-endian, leading zeros kept.
Bytes change_base(ByteView digits, unsigned from, unsigned to) {
  const auto first = std::find_if(digits.begin(), digits.end(), [](auto digit) { return digit; });
  Bytes little;  // least significant digit first
  for (auto digit = first; digit != digits.end(); ++digit) {
    unsigned carry = *digit;
    for (auto& place : little) {
      carry += place * from;
      place = static_cast<std::uint8_t>(carry % to);
      carry /= to;
    }
    for (; carry > 0; carry /= to) little.push_back(static_cast<std::uint8_t>(carry % to));
  }
  little.insert(little.end(), static_cast<std::size_t>(first - digits.begin()), 0);
  std::reverse(little.begin(), little.end());
  return little;
}

std::optional<Bytes> decode(std::string_view text, std::string_view alphabet) {
  if (text.size() > kMaxBase58Text) return std::nullopt;
  Bytes digits;
  for (const char letter : text) {
    const auto digit = alphabet.find(letter);
    if (digit == std::string_view::npos) return std::nullopt;
    digits.push_back(static_cast<std::uint8_t>(digit));
  }
  return change_base(digits, static_cast<unsigned>(alphabet.size()), 256);
}

}  // namespace

std::string to_base58(ByteView bytes) {
  std::string text;
  for (const auto digit : change_base(bytes, 256, 58)) text += kBase58[digit];
  return text;
}

std::optional<Bytes> from_base58(std::string_view text) { return decode(text, kBase58); }

std::optional<Bytes> from_base36(std::string_view text) { return decode(text, kBase36); }

std::string to_base32(ByteView bytes) {
  std::string text;
  unsigned held = 0;
  int bits = 0;
  for (const auto byte : bytes) {
    held = (held << 8 | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += kBase32[(held >> (bits - 5)) & 31];
  }
  if (bits > 0) text += kBase32[(held << (5 - bits)) & 31];
  return text;
}

std::optional<Bytes> from_base32(std::string_view text) {
  Bytes bytes;
  unsigned held = 0;
  int bits = 0;
  for (const char letter : text) {
    const auto digit = kBase32.find(letter);
    if (digit == std::string_view::npos) return std::nullopt;
    held = (held << 5 | static_cast<unsigned>(digit)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(held >> bits));
  }
  // One text for one value: what is left over must be less than a digit, and zero.
  if (bits >= 5 || (held & ((1U << bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace hagring::dht
