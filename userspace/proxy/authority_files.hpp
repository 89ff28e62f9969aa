// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "userspace/base/result.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::proxy {

/// A CA's certificate with its key, and what stands between it and its root.
struct AuthorityPair {
  Certificate certificate;
  PrivateKey key;
  std::vector<Certificate> chain{};  ///< from its issuer upwards
};

/// Where a pair is kept.
struct AuthorityFiles {
  std::filesystem::path key;
  std::filesystem::path certificate;
};

/// Reads a pair and sees that its parts belong together. Both throw StartError, which names the
/// file and says what to do: what can't be read or isn't PEM; a key that others may read; a
/// certificate that is no CA's.
AuthorityPair load_own_pair(const AuthorityFiles& files);
/// The same for files that somebody else has made: links are followed and a group may read the key
/// (as a Kubernetes Secret is mounted); the certificate's file may go on with its chain, of which
/// each must have signed the one before.
AuthorityPair load_given_pair(const AuthorityFiles& files);

/// Writes both, the key 0600, so that a crash between them leaves a key alone. Throws StartError.
void store_pair(const AuthorityPair& pair, const AuthorityFiles& files);

/// Makes the directory, for its owner only, unless it is there. Throws StartError.
void make_state_directory(const std::filesystem::path& directory);

/// A certificate in PEM form, and all that a text has.
std::string certificate_pem(X509* certificate);
std::vector<Certificate> certificates_in(const std::string& pem);
/// SHA-256 of a certificate in hexadecimal.
std::string fingerprint_of(X509* certificate);

}  // namespace hagring::proxy
