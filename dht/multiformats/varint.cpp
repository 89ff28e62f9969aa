// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/varint.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxVarint = 9;  // unsigned-varint, "Practical maximum of 9 bytes"

}  // namespace

void append_varint(Bytes& into, std::uint64_t value) {
  while (value >= 0x80) {
    into.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  into.push_back(static_cast<std::uint8_t>(value));
}

VarintRead read_varint(ByteView bytes) {
  VarintRead read;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == kMaxVarint) return {VarintRead::Status::malformed, 0, 0};
    read.value |= static_cast<std::uint64_t>(bytes[i] & 0x7f) << (7 * i);
    if ((bytes[i] & 0x80) != 0) continue;
    if (i > 0 && bytes[i] == 0) return {VarintRead::Status::malformed, 0, 0};
    return {VarintRead::Status::complete, read.value, i + 1};
  }
  if (bytes.size() >= kMaxVarint) return {VarintRead::Status::malformed, 0, 0};
  return {};
}

}  // namespace hagring::dht
