// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// Multicodec numbers (multiformats/multicodec, table.csv).
inline constexpr std::uint64_t kRawCodec = 0x55;
inline constexpr std::uint64_t kLibp2pKeyCodec = 0x72;
inline constexpr std::uint64_t kSha256Code = 0x12;
inline constexpr std::uint64_t kIdentityCode = 0x00;

/// `12 20 sha256(bytes)`: what the kad wire carries for a key of Spegel's.
Bytes sha256_multihash(ByteView bytes);

/// Whether `bytes` are one multihash, its length right and no bytes after it.
bool is_multihash(ByteView bytes);

/// A content identifier of version 1.
struct Cid {
  std::uint64_t codec = kRawCodec;
  Bytes multihash;

  /// Reads base32 ('b'), base36 ('k') and base58btc ('z'); nullopt for anything else.
  static std::optional<Cid> parse(std::string_view text);
  /// Reads the binary form; nullopt unless it is one CIDv1 with nothing after it.
  static std::optional<Cid> from_bytes(ByteView bytes);

  Bytes to_bytes() const;
  /// Base32, as Go writes it.
  std::string to_string() const;

  bool operator==(const Cid&) const = default;
};

}  // namespace hagring::dht
