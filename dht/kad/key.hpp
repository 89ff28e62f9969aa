// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string_view>

#include "dht/kad/peer.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::kad {

/// A point of Kademlia's key space: 256 bits, big-endian.
class Key {
 public:
  static constexpr std::size_t kBits = 256;
  using Array = std::array<std::uint8_t, kBits / 8>;

  Key() = default;
  explicit Key(const Array& bytes) : bytes_(bytes) {}

  /// SHA-256 of what the wire carries, a peer ID or a multihash (kad-dht specification,
  /// "Distance").
  static Key of(ByteView wire);
  static Key of(const PeerId& peer) { return of(peer.bytes()); }

  const Array& bytes() const noexcept { return bytes_; }

  bool bit(std::size_t index) const noexcept {
    return (bytes_[index / 8] >> (7 - index % 8) & 1) != 0;
  }

  /// This key with bit `index` turned over and the bits after it taken from `tail`.
  Key sibling(std::size_t index, const Key& tail) const noexcept;

  /// This key's first `bits` bits, followed by zeros (or ones).
  Key first_with_prefix(std::size_t bits) const noexcept { return with_tail(bits, 0x00); }
  Key last_with_prefix(std::size_t bits) const noexcept { return with_tail(bits, 0xff); }

  /// Where the key lies in its space, 0 to (nearly) 1.
  double fraction() const noexcept;

  auto operator<=>(const Key&) const = default;
  bool operator==(const Key&) const = default;

 private:
  Key with_tail(std::size_t bits, std::uint8_t fill) const noexcept;

  Array bytes_{};
};

/// The XOR metric. Comparing distances orders by closeness.
Key distance(const Key& a, const Key& b) noexcept;

/// Whether `a` is nearer to `target` than `b`; no temporary keys.
bool nearer(const Key& target, const Key& a, const Key& b) noexcept;

/// How many leading bits `a` and `b` share, 0 to 256.
std::size_t common_prefix_length(const Key& a, const Key& b) noexcept;

/// The wire key under which Spegel provides `name`, a digest (`sha256:…`) or an image name
/// (`docker.io/library/nginx:1.27`): the multihash of the CIDv1 (raw, SHA-256) of the text, that
/// is `12 20` and 32 bytes.
Bytes content_wire_key(std::string_view name);

}  // namespace hagring::kad

template <>
struct std::hash<hagring::kad::Key> {
  std::size_t operator()(const hagring::kad::Key& key) const noexcept {
    return std::hash<std::string_view>{}(hagring::as_text(key.bytes()));
  }
};
