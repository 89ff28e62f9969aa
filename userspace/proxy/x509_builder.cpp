// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/x509_builder.hpp"

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

namespace hagring::proxy {
namespace {

constexpr std::size_t kMaxAttribute = 64;  // ub-common-name and kin, RFC 5280, appendix A.1

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + take_openssl_error());
}

}  // namespace

X509Builder::X509Builder() : certificate_(X509_new()) {
  require(certificate_ != nullptr, "cannot make a certificate");
  X509_set_version(certificate_.get(), X509_VERSION_3);
  std::array<unsigned char, 16> random;
  require(RAND_bytes(random.data(), random.size()) == 1, "no random numbers");
  random[0] = static_cast<unsigned char>((random[0] & 0x7f) | 0x40);  // positive and not short
  BIGNUM* number = BN_bin2bn(random.data(), random.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate_.get()));
  BN_free(number);
}

X509Builder& X509Builder::valid(WallTime not_before, WallTime not_after) {
  using std::chrono::system_clock;
  ASN1_TIME_set(X509_getm_notBefore(certificate_.get()), system_clock::to_time_t(not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate_.get()), system_clock::to_time_t(not_after));
  return *this;
}

X509Builder& X509Builder::subject(const char* attribute, const std::string& value) {
  const auto cut = value.substr(0, kMaxAttribute);
  require(
      X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate_.get()), attribute,
                                 MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(cut.data()),
                                 static_cast<int>(cut.size()), -1, 0) == 1,
      "cannot set a certificate's subject");
  return *this;
}

X509Builder& X509Builder::public_key(EVP_PKEY* key) {
  require(X509_set_pubkey(certificate_.get(), key) == 1, "cannot set a certificate's key");
  return *this;
}

X509Builder& X509Builder::issuer(X509* issuer) {
  issuer_ = issuer ? issuer : certificate_.get();
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(issuer_));
  return *this;
}

X509Builder& X509Builder::extension(int nid, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer_, certificate_.get(), nullptr, nullptr, 0);
  auto* made = X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str());
  require(made != nullptr, "cannot make a certificate's extension");
  const bool added = X509_add_ext(certificate_.get(), made, -1) == 1;
  X509_EXTENSION_free(made);
  require(added, "cannot add a certificate's extension");
  return *this;
}

Certificate X509Builder::sign(EVP_PKEY* key) {
  require(X509_sign(certificate_.get(), key, EVP_sha256()) > 0, "cannot sign a certificate");
  return std::move(certificate_);
}

WallTime wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime();
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace hagring::proxy
