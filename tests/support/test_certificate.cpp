// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_certificate.hpp"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace hagring::test {

TestCertificate make_certificate(const std::string& name) {
  TestCertificate made{Certificate(X509_new()), PrivateKey(EVP_EC_gen("P-256"))};
  auto* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "O", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("a test"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, made.key.get());
  auto* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  if (X509_sign(certificate, made.key.get(), EVP_sha256()) == 0) {
    throw std::runtime_error("cannot sign a test certificate");
  }
  return made;
}

SslContext make_server_context_with(const TestCertificate& certificate) {
  auto context = make_server_context();
  SSL_CTX_use_certificate(context.get(), certificate.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), certificate.key.get());
  return context;
}

SslContext make_client_context_trusting(const TestCertificate* certificate) {
  CertificateStore roots(X509_STORE_new());
  if (certificate) X509_STORE_add_cert(roots.get(), certificate->certificate.get());
  return make_client_context(std::move(roots));
}

}  // namespace hagring::test
