// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "registry/digest.hpp"

namespace hagring::herd {

using registry::Digest;

/// A node, as the mesh knows it: its libp2p peer ID in binary form. Where it can be reached is
/// known elsewhere. Empty means "none".
using NodeId = std::string;

/// The longest binary peer ID that is taken: an identity multihash of a public key has 42 bytes.
inline constexpr std::size_t kMaxNodeId = 64;

/// What one herd is about: a blob, in one zone. With zones off, `zone` is empty everywhere.
struct HerdId {
  Digest digest;
  std::string zone = {};

  auto operator<=>(const HerdId&) const = default;
};

/// The longest name of a zone (Kubernetes: the value of a label has 63 characters).
inline constexpr std::size_t kMaxZone = 63;

/// A blob is dealt out in pieces of this size; the last one is shorter. Part of the protocol.
inline constexpr std::uint64_t kPieceSize = 64 * 1024;

/// Piece i belongs to stripe i mod kStripes. Part of the protocol.
inline constexpr std::size_t kStripes = 2;

/// 0 or 1.
using Stripe = std::uint8_t;

/// A number for each stripe.
using PerStripe = std::array<std::uint64_t, kStripes>;

/// How many pieces a blob of `size_bytes` has.
constexpr std::uint64_t pieces_of(std::uint64_t size_bytes) {
  return size_bytes / kPieceSize + (size_bytes % kPieceSize != 0 ? 1 : 0);
}

/// How many of `pieces` pieces belong to `stripe`.
constexpr std::uint64_t pieces_in(Stripe stripe, std::uint64_t pieces) {
  return (pieces + kStripes - 1 - stripe) / kStripes;
}

/// The number in the blob of a stripe's piece number `index`.
constexpr std::uint64_t piece_number(Stripe stripe, std::uint64_t index) {
  return index * kStripes + stripe;
}

/// The first byte that one doesn't have who has the first `have[s]` pieces of each stripe.
constexpr std::uint64_t first_missing_byte(const PerStripe& have) {
  std::uint64_t piece = UINT64_MAX;
  for (std::size_t s = 0; s < kStripes; ++s) {
    const std::uint64_t next = piece_number(static_cast<Stripe>(s), have[s]);
    piece = next < piece ? next : piece;
  }
  return piece * kPieceSize;
}

}  // namespace hagring::herd
