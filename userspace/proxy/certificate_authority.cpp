// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/certificate_authority.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <set>

#include "userspace/base/bytes.hpp"
#include "userspace/proxy/client_hello.hpp"
#include "userspace/proxy/name_constraints.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

/// A clock that is set back a little after the CA was made must not make it useless.
constexpr std::chrono::hours kBackdated{24};

PrivateKey make_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) throw StartError("cannot make an EC key: " + take_openssl_error());
  return key;
}

std::string random_suffix() {
  std::array<unsigned char, 4> random{};
  RAND_bytes(random.data(), random.size());
  return to_hex(random);
}

}  // namespace

std::vector<std::string> as_constraints(const std::vector<std::string>& names) {
  std::set<std::string> sorted;
  for (auto name : names) {
    if (!is_host_name(name)) {
      throw StartError("'" + name +
                       "' can't be a name constraint of the node's CA: give a DNS name without "
                       "wildcards, which stands for all names below it, too");
    }
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    sorted.insert(std::move(name));
  }
  return {sorted.begin(), sorted.end()};
}

CertificateAuthority CertificateAuthority::make(const CertificateAuthorityTerms& terms,
                                                WallTime now) {
  AuthorityPair pair{nullptr, make_key()};
  X509Builder builder;
  // Two CAs of one node must not share a name: a verifier would try the wrong key.
  builder.subject("O", "hagring")
      .subject("CN", "node CA " + random_suffix() + " " + terms.node_name)
      .valid(now - kBackdated, now + terms.validity)
      .public_key(pair.key.get())
      .issuer(nullptr)
      .extension(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
      .extension(NID_key_usage, "critical,keyCertSign")
      .extension(NID_ext_key_usage, "serverAuth")
      .extension(NID_name_constraints, constraint_text(as_constraints(terms.permitted_names)))
      .extension(NID_subject_key_identifier, "hash");
  pair.certificate = builder.sign(pair.key.get());
  return CertificateAuthority(std::move(pair));
}

CertificateAuthority::CertificateAuthority(AuthorityPair pair,
                                           std::vector<std::string> names_without_constraints)
    : pair_(std::move(pair)),
      leaf_key_(make_key()),
      pem_(certificate_pem(certificate())),
      permitted_names_(std::move(names_without_constraints)),
      not_before_(wall_time(X509_get0_notBefore(certificate()))),
      not_after_(wall_time(X509_get0_notAfter(certificate()))) {
  const auto subtrees = permitted_subtrees(certificate());
  if (!subtrees) return;
  constrained_ = true;
  permits_probe_ = subtrees->permits_probe && !subtrees->excludes;
  permitted_names_.assign(subtrees->names.begin(), subtrees->names.end());
}

bool CertificateAuthority::permits(std::string_view name) const {
  if (name == kProbeAddress) return permits_probe_;
  return is_host_name(name) && is_covered(name, permitted_names_);
}

bool CertificateAuthority::covers(const std::vector<std::string>& names) const {
  return permits_probe_ && std::ranges::all_of(names, [this](const std::string& name) {
           return is_covered(name, permitted_names_);
         });
}

}  // namespace hagring::proxy
