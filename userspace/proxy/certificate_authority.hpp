// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::proxy {

/// The only IP address that the CA may sign for: that of the trust probe (TEST-NET-1, RFC 5737, on
/// which no registry can be).
inline constexpr const char* kProbeAddress = "192.0.2.1";

struct CertificateAuthorityOptions {
  /// Where ca.key (0600) and ca.crt live; made if absent.
  std::filesystem::path directory = "/var/lib/hagring";
  /// The DNS names that leaves may be for; each stands for all names below it, too.
  std::vector<std::string> permitted_names = {};
  /// Shown in the CA's name, so that an operator sees where a certificate came from.
  std::string node_name = {};
  /// containerd may load roots once in its life only: a CA is replaced seldom.
  std::chrono::hours validity = std::chrono::hours(24 * 3650);
  /// Replaced at a start when it has less than this to live.
  std::chrono::hours renew_before = std::chrono::hours(24 * 90);
};

/// The node's certificate authority: EC P-256, made on the node at its first start, its key never
/// leaving it. Critical name constraints keep it to the mirrored registries, so that even its key
/// could not be used against the node's other connections. Immutable: safe on several threads.
class CertificateAuthority {
 public:
  /// Loads the CA from the directory, or makes one where there is none, or where the permitted
  /// names have changed or its end is near (which is logged: clients must learn to trust it anew).
  /// Throws StartError for names that aren't, and for files that are corrupt, not ours, or
  /// readable by others; it says what to do.
  static CertificateAuthority load_or_make(const CertificateAuthorityOptions& options,
                                           const Clock& clock);

  /// Whether a leaf for `name`, a DNS name or kProbeAddress, would be within the constraints.
  bool permits(std::string_view name) const;

  X509* certificate() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }
  /// The key of all leaves, made anew in each process.
  EVP_PKEY* leaf_key() const { return leaf_key_.get(); }

  /// The certificate for a trust store.
  const std::string& pem() const { return pem_; }
  /// SHA-256 of the certificate in hexadecimal.
  std::string fingerprint() const;
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }
  const std::vector<std::string>& permitted_names() const { return permitted_names_; }

 private:
  CertificateAuthority() = default;

  Certificate certificate_;
  PrivateKey key_;
  PrivateKey leaf_key_;
  std::string pem_;
  std::vector<std::string> permitted_names_;
  WallTime not_before_;
  WallTime not_after_;
};

}  // namespace hagring::proxy
