// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <filesystem>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/proxy/certificate_authority.hpp"

namespace hagring::proxy {

struct CertificateAuthorityOptions {
  /// Where ca.key (0600) and ca.crt live, and next.key and next.crt while there are two; made if
  /// absent.
  std::filesystem::path directory = "/var/lib/hagring";
  /// The DNS names that leaves may be for; each stands for all names below it, too.
  std::vector<std::string> permitted_names = {};
  /// Shown in the CA's name, so that an operator sees where a certificate came from.
  std::string node_name = {};
  /// containerd may load roots once in its life only: a CA is replaced seldom.
  std::chrono::hours validity = std::chrono::hours(24 * 3650);
  /// It gets a successor when it has less than this to live.
  std::chrono::hours renew_before = std::chrono::hours(24 * 90);
  /// A CA that somebody else has made, to be used instead of one of the node's own; both or none.
  /// It is only read, never written anywhere, and never replaced.
  std::filesystem::path given_certificate = {};
  std::filesystem::path given_key = {};
};

/// The node's CAs: the one that signs, and for a while its successor. A successor is made before
/// the end of the CA, and when it no longer covers the mirrored names. Both are trusted then, and
/// the old one signs until a client has shown that it trusts the new one.
///
/// Used on the control thread, but for signer(), which is for any; CAs stay where they are for as
/// long as this lives.
class Authorities {
 public:
  /// Loads them, or makes what is missing. Throws StartError for names that aren't, and for files
  /// that are corrupt, not ours, or readable by others; it says what to do.
  Authorities(const CertificateAuthorityOptions& options, const Clock& clock);

  /// The CA of a leaf for `name`: for the probe's address the one that is being proven.
  const CertificateAuthority& signer(std::string_view name) const noexcept;

  const CertificateAuthority& signing() const { return *signing_.load(); }
  /// Nullptr while there is none.
  const CertificateAuthority* successor() const { return successor_; }
  /// What clients should trust, in PEM form.
  std::string pem() const;
  bool is_given() const { return !options_.given_certificate.empty(); }

  /// Whether the probe's leaf is signed by the successor from now on.
  void prove_successor(bool on) noexcept;
  /// The successor signs from now on and the old CA is forgotten, its key removed. If the files
  /// can't be changed that is logged, and the next start will find both again.
  void promote();
  /// Makes a successor if the CA is due for one and has none; whether it did. Throws StartError.
  bool renew_if_due();

 private:
  struct Files {
    AuthorityFiles current;
    AuthorityFiles next;
  };
  void load_own();
  void load_given();
  /// Why `authority` needs a successor; empty: it doesn't.
  std::string why_replace(const CertificateAuthority& authority) const;
  const CertificateAuthority& keep(CertificateAuthority authority);
  const CertificateAuthority& make(const AuthorityFiles& files);
  void finish_promotion() const;
  void forget_successor();

  CertificateAuthorityOptions options_;
  const Clock& clock_;
  Files files_;
  std::list<CertificateAuthority> all_;
  std::atomic<const CertificateAuthority*> signing_ = nullptr;
  std::atomic<const CertificateAuthority*> proving_ = nullptr;
  const CertificateAuthority* successor_ = nullptr;
};

}  // namespace hagring::proxy
