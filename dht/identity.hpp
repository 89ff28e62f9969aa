// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "dht/public_key.hpp"

namespace hagring::dht {

/// This host's own Ed25519 key, whose public half names it in the mesh. The private half leaves
/// this object only into its file.
class Identity {
 public:
  static constexpr std::size_t kSeedSize = 32;

  /// A new key from the system's random numbers.
  static Identity generate();
  /// The key of `seed` (RFC 8032, section 5.1.5), for simulations that repeat themselves.
  static Identity from_seed(std::span<const std::uint8_t, kSeedSize> seed);
  /// Reads libp2p's PrivateKey message (peer-ids.md, "Keys"), 68 bytes.
  /// Errors: Errc::bad_message, Errc::unsupported (another kind of key).
  static Result<Identity> from_message(ByteView message);
  /// Reads the key from `path`; where there is no file, makes a key and writes it, mode 0600, in
  /// one step. Throws StartError if the file can't be read or written, isn't such a key, or may be
  /// read by others than its owner.
  static Identity load_or_create(const std::filesystem::path& path);

  const PublicKey& public_key() const { return public_key_; }
  const PeerId& peer_id() const { return peer_id_; }
  /// The signature over `message`, 64 bytes.
  Bytes sign(ByteView message) const;

 private:
  Identity(PrivateKey key, PublicKey public_key);
  Bytes to_message() const;

  PrivateKey key_;
  PublicKey public_key_;
  PeerId peer_id_;
};

}  // namespace hagring::dht
