// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "userspace/proxy/authorities.hpp"

namespace hagring::proxy {

struct LeafMintOptions {
  /// Leaves kept, the longest unused going first. A client names the servers, so it must be bound.
  std::size_t capacity = 256;
  std::chrono::hours validity = std::chrono::hours(48);
  /// A kept leaf with less than this to live is made anew.
  std::chrono::hours renew_before = std::chrono::hours(24);
};

/// Makes and keeps leaf certificates, one a server name. Each data thread has one of its own, so
/// there is nothing to lock. A leaf whose CA no longer signs for its name is made anew.
class LeafMint {
 public:
  /// `authorities` and `clock` must outlive it.
  LeafMint(const Authorities& authorities, const Clock& clock, LeafMintOptions options = {});

  /// The leaf for `name`, a lower-case DNS name or kProbeAddress; valid until the next call.
  /// Errors: Errc::unsupported when the CA's constraints don't permit the name, or the CA isn't
  /// valid at this time.
  Result<X509*> leaf(std::string_view name);

  /// Gives a server's SSL the leaf for `name`, its key and its chain. Errors as leaf's.
  Result<void> put_on(SSL* ssl, std::string_view name);

  std::size_t size() const { return leaves_.size(); }

 private:
  struct Leaf {
    std::string name;
    Certificate certificate;
    WallTime not_before;
    WallTime not_after;
    const CertificateAuthority* issuer = nullptr;
  };
  using Leaves = std::list<Leaf>;

  Leaf mint(std::string_view name, const CertificateAuthority& authority) const;

  const Authorities& authorities_;
  const Clock& clock_;
  LeafMintOptions options_;
  Leaves leaves_;                                                   ///< latest used first
  std::unordered_map<std::string_view, Leaves::iterator> by_name_;  ///< keys view into leaves_
};

}  // namespace hagring::proxy
