// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/peer.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

// Codes of the multicodec table.
constexpr std::uint8_t kIdentityHash = 0x00;
constexpr std::uint8_t kSha256Hash = 0x12;
constexpr std::uint8_t kSha256Size = 32;
constexpr std::uint8_t kIp4 = 0x04;
constexpr std::uint8_t kIp6 = 0x29;

}  // namespace

Result<PeerId> PeerId::from_bytes(ByteView bytes) {
  if (bytes.size() < 3 || bytes.size() > kMaxSize || bytes[1] != bytes.size() - 2) {
    return Errc::bad_message;
  }
  const bool hashed = bytes[0] == kSha256Hash && bytes[1] == kSha256Size;
  if (!hashed && bytes[0] != kIdentityHash) return Errc::bad_message;
  PeerId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes_.begin());
  id.size_ = static_cast<std::uint8_t>(bytes.size());
  return id;
}

Ip::Ip(ByteView bytes) {
  if (bytes.size() == 4) bytes_[10] = bytes_[11] = 0xff;
  if (bytes.size() != 4 && bytes.size() != bytes_.size()) return;
  std::ranges::copy_backward(bytes, bytes_.end());
}

ByteView Multiaddr::ip() const noexcept {
  const ByteView all = bytes();
  if (all.size() >= 5 && all[0] == kIp4) return all.subspan(1, 4);
  if (all.size() >= 17 && all[0] == kIp6) return all.subspan(1, 16);
  return {};
}

}  // namespace hagring::kad
