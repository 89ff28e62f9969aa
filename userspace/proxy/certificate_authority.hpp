// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/proxy/authority_files.hpp"

namespace hagring::proxy {

/// The only IP address that the CA may sign for: that of the trust probe (TEST-NET-1, RFC 5737, on
/// which no registry can be).
inline constexpr const char* kProbeAddress = "192.0.2.1";

/// What a CA of the node's own is made with.
struct CertificateAuthorityTerms {
  /// The DNS names that leaves may be for; each stands for all names below it, too.
  std::vector<std::string> permitted_names = {};
  /// Shown in the CA's name, so that an operator sees where a certificate came from.
  std::string node_name = {};
  std::chrono::hours validity{};
};

/// A certificate authority that leaves are signed by, for what its critical name constraints
/// permit: the mirrored registries, so that even its key could not be used against the node's other
/// connections. Immutable: safe on several threads.
class CertificateAuthority {
 public:
  /// Makes one, EC P-256. Throws StartError for names that aren't.
  static CertificateAuthority make(const CertificateAuthorityTerms& terms, WallTime now);

  /// From a pair that was loaded. Where its certificate has no constraints, leaves are for
  /// `names_without_constraints`.
  explicit CertificateAuthority(AuthorityPair pair,
                                std::vector<std::string> names_without_constraints = {});

  /// Whether a leaf for `name`, a DNS name or kProbeAddress, would be within the constraints.
  bool permits(std::string_view name) const;
  /// Whether all names that `names` stand for are permitted, and the probe.
  bool covers(const std::vector<std::string>& names) const;
  /// Whether it has critical constraints; a CA of the node's own always has.
  bool is_constrained() const { return constrained_; }

  X509* certificate() const { return pair_.certificate.get(); }
  EVP_PKEY* key() const { return pair_.key.get(); }
  const AuthorityPair& pair() const { return pair_; }
  /// The key of all leaves, made anew in each process.
  EVP_PKEY* leaf_key() const { return leaf_key_.get(); }

  /// The certificate for a trust store.
  const std::string& pem() const { return pem_; }
  /// SHA-256 of the certificate in hexadecimal.
  std::string fingerprint() const { return fingerprint_of(certificate()); }
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }
  /// DNS suffixes, in order.
  const std::vector<std::string>& permitted_names() const { return permitted_names_; }

 private:
  AuthorityPair pair_;
  PrivateKey leaf_key_;
  std::string pem_;
  std::vector<std::string> permitted_names_;
  bool constrained_ = false;
  bool permits_probe_ = true;
  WallTime not_before_;
  WallTime not_after_;
};

/// DNS names in lower case, in order and each once. Throws StartError for what can't be a name
/// constraint.
std::vector<std::string> as_constraints(const std::vector<std::string>& names);

}  // namespace hagring::proxy
