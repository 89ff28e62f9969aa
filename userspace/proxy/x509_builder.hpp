// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::proxy {

/// Makes an X.509 v3 certificate step by step. OpenSSL's refusals (out of memory, malformed
/// extension text, which is a fault of ours) are std::runtime_error.
class X509Builder {
 public:
  /// With a random serial number of 127 bits.
  X509Builder();

  X509Builder& valid(WallTime not_before, WallTime not_after);
  /// One attribute of the subject, for example "CN"; cut to the 64 characters that X.520 allows.
  X509Builder& subject(const char* attribute, const std::string& value);
  X509Builder& public_key(EVP_PKEY* key);
  /// Nullptr: self-signed. Call before extensions that name the issuer.
  X509Builder& issuer(X509* issuer);
  /// An extension by its NID and its text in OpenSSL's form (x509v3_config(5)).
  X509Builder& extension(int nid, const std::string& text);
  Certificate sign(EVP_PKEY* key);

 private:
  Certificate certificate_;
  X509* issuer_ = nullptr;
};

/// ASN.1 time as the calendar's.
WallTime wall_time(const ASN1_TIME* time);

}  // namespace hagring::proxy
