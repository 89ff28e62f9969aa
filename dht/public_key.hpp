// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "dht/multiformats/peer_id.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::dht {

/// Kinds of host keys (libp2p specs, peer-ids.md, "Key Types").
enum class KeyType { rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3 };

/// Whether `key` is one of P-256, P-384 and P-521.
bool is_known_curve(const EVP_PKEY* key);
/// Whether `key` is RSA of 2048 to `max_bits` bits with a public exponent of at most 64 bits:
/// what is beyond costs a verifier dearly.
bool is_moderate_rsa(const EVP_PKEY* key, int max_bits);

/// A host's public key, as libp2p writes it: protobuf {1: type, 2: data}.
class PublicKey {
 public:
  /// Reads the protobuf form. Errors: Errc::bad_message, Errc::too_large (more than 4 KiB),
  /// Errc::unsupported (a type or a curve that isn't known, RSA outside 2048 to 8192 bits or with a
  /// public exponent of more than 64 bits).
  static Result<PublicKey> parse(ByteView message);
  /// The Ed25519 key of 32 bytes.
  static Result<PublicKey> of_ed25519(ByteView raw);

  KeyType type() const { return type_; }
  const Bytes& message() const { return message_; }
  PeerId peer_id() const { return PeerId::of_public_key(message_); }

  /// Whether `signature` is this key's over `message`: Ed25519 plain, ECDSA in DER and RSA with
  /// PKCS #1 v1.5 over SHA-256 (peer-ids.md, "Key Types").
  bool verify(ByteView message, ByteView signature) const;

 private:
  PublicKey(KeyType type, ByteView data, PrivateKey key);

  KeyType type_;
  Bytes message_;
  std::shared_ptr<EVP_PKEY> key_;  ///< shared by copies of this value; never changed
};

}  // namespace hagring::dht
