// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// A peer's name: the multihash of its public key's protobuf (libp2p specs, peer-ids.md).
class PeerId {
 public:
  /// The ID of the key whose PublicKey message is `public_key`: the message itself (identity
  /// multihash) up to 42 bytes, its SHA-256 above that.
  static PeerId of_public_key(ByteView public_key);
  /// Reads the binary form; nullopt unless it is an identity multihash of at most 42 bytes or a
  /// SHA-256.
  static std::optional<PeerId> from_bytes(ByteView bytes);
  /// Reads `12D3Koo…`, `Qm…`, or a CIDv1 of a libp2p key.
  static std::optional<PeerId> parse(std::string_view text);

  ByteView bytes() const { return bytes_; }
  /// Base58btc.
  std::string to_string() const;
  /// The public key's message, when the ID carries it; empty: it must come from the peer.
  ByteView inlined_key() const;

  bool operator==(const PeerId&) const = default;
  auto operator<=>(const PeerId&) const = default;

 private:
  explicit PeerId(Bytes bytes) : bytes_(std::move(bytes)) {}
  Bytes bytes_;
};

}  // namespace hagring::dht
