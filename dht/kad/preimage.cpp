// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/preimage.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

constexpr std::size_t kListedBits = 12;
constexpr std::size_t kMostBits = 20;

Bytes numbered(std::uint32_t number) {
  Bytes wire(34, 0);
  wire[0] = 0x12;
  wire[1] = 0x20;
  for (unsigned i = 0; i < 4; ++i) wire[2 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  return wire;
}

std::size_t prefix_of(const Key& key) {
  return static_cast<std::size_t>(key.bytes()[0]) << 4 | key.bytes()[1] >> 4;
}

/// For each prefix of 12 bits a number whose wire key has it.
std::vector<std::uint32_t> make_list() {
  std::vector<std::uint32_t> list(std::size_t{1} << kListedBits, 0);
  std::size_t missing = list.size();
  for (std::uint32_t number = 1; missing > 0; ++number) {
    std::uint32_t& place = list[prefix_of(Key::of(numbered(number)))];
    if (place != 0) continue;
    place = number;
    --missing;
  }
  return list;
}

}  // namespace

Bytes wire_key_near(const Key& target, std::size_t bits) {
  static const std::vector<std::uint32_t> list = make_list();
  if (bits <= kListedBits) return numbered(list[prefix_of(target)]);
  const std::size_t wanted = std::min(bits, kMostBits);
  for (std::uint32_t number = 1;; ++number) {
    Bytes wire = numbered(number);
    if (common_prefix_length(Key::of(wire), target) >= wanted) return wire;
  }
}

}  // namespace hagring::kad
