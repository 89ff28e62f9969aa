// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "dht/identity.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::dht {

/// A certificate that carries a host's identity, and the key that it was made for.
struct HostCertificate {
  Certificate certificate;
  PrivateKey key;
};

/// Makes a self-signed certificate for a fresh P-256 key, with `identity`'s signature over that key
/// in the libp2p extension (libp2p specs, tls/tls.md), valid from an hour before `now` for a
/// hundred years. Throws std::runtime_error if OpenSSL can't.
HostCertificate make_host_certificate(const Identity& identity, WallTime now);

/// What a peer's certificate proves: its host key, or why it proves none.
struct CertificateVerdict {
  std::optional<PublicKey> key;
  std::string reason;  ///< for people; empty when there is a key
};

/// Checks a certificate as tls.md asks: dates, self-signature, exactly one libp2p extension, no
/// other critical one, and the host key's signature in it.
CertificateVerdict verify_host_certificate(X509* certificate, WallTime now);

}  // namespace hagring::dht
