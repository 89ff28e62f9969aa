// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/leaf_mint.hpp"

#include <algorithm>

#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

/// The client's clock is the node's own, unless it runs in a virtual machine of its own.
constexpr std::chrono::hours kBackdated{6};

}  // namespace

LeafMint::LeafMint(const Authorities& authorities, const Clock& clock, LeafMintOptions options)
    : authorities_(authorities), clock_(clock), options_(options) {}

Result<X509*> LeafMint::leaf(std::string_view name) {
  const auto& authority = authorities_.signer(name);
  if (!authority.permits(name)) return Errc::unsupported;
  const auto now = clock_.wall();
  // A clock that has jumped (one that was wrong at boot, say): the client, which has the same,
  // would refuse what this CA signs. Without a leaf the connection is spliced, and costs no pull.
  if (now < authority.not_before() || now >= authority.not_after()) return Errc::unsupported;
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    const auto leaf = found->second;
    // Close to the CA's own end a leaf can't live longer: then it is used as long as it is valid.
    const auto usable_until = leaf->not_after >= authority.not_after()
                                  ? leaf->not_after
                                  : leaf->not_after - options_.renew_before;
    if (leaf->issuer == &authority && now >= leaf->not_before && now < usable_until) {
      leaves_.splice(leaves_.begin(), leaves_, leaf);
      return leaf->certificate.get();
    }
    by_name_.erase(found);
    leaves_.erase(leaf);
  }
  while (!leaves_.empty() && leaves_.size() >= options_.capacity) {
    by_name_.erase(leaves_.back().name);
    leaves_.pop_back();
  }
  leaves_.push_front(mint(name, authority));
  by_name_.emplace(leaves_.front().name, leaves_.begin());
  return leaves_.front().certificate.get();
}

LeafMint::Leaf LeafMint::mint(std::string_view name, const CertificateAuthority& authority) const {
  const auto now = clock_.wall();
  Leaf leaf{std::string(name), nullptr, std::max(now - kBackdated, authority.not_before()),
            std::min<WallTime>(now + options_.validity, authority.not_after()), &authority};
  X509Builder builder;
  // The subject has no common name: some verifiers would hold it against the constraints.
  builder.subject("O", "hagring")
      .valid(leaf.not_before, leaf.not_after)
      .public_key(authority.leaf_key())
      .issuer(authority.certificate())
      .extension(NID_basic_constraints, "critical,CA:FALSE")
      .extension(NID_key_usage, "critical,digitalSignature")
      .extension(NID_ext_key_usage, "serverAuth")
      .extension(NID_subject_alt_name, (name == kProbeAddress ? "IP:" : "DNS:") + leaf.name)
      .extension(NID_authority_key_identifier, "keyid:always");
  leaf.certificate = builder.sign(authority.key());
  return leaf;
}

Result<void> LeafMint::put_on(SSL* ssl, std::string_view name) {
  TRY(auto* const certificate, leaf(name));
  // The one that signed, whatever signs by now.
  const auto& authority = *by_name_.at(name)->issuer;
  bool done = SSL_use_certificate(ssl, certificate) == 1 &&
              SSL_use_PrivateKey(ssl, authority.leaf_key()) == 1;
  // Clients that trust only what is above a given CA need what is between.
  if (!authority.pair().chain.empty()) {
    done = done && SSL_add1_chain_cert(ssl, authority.certificate()) == 1;
  }
  for (const auto& above : authority.pair().chain) {
    done = done && SSL_add1_chain_cert(ssl, above.get()) == 1;
  }
  if (!done) {
    take_openssl_error();
    return Errc::unavailable;
  }
  return {};
}

}  // namespace hagring::proxy
