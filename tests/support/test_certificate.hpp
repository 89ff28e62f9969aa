// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/tls_context.hpp"

namespace hagring::test {

/// A certificate and its key.
struct TestCertificate {
  Certificate certificate;
  PrivateKey key;
};

/// Makes a self-signed EC P-256 certificate for the DNS name `name`, valid for an hour each way.
TestCertificate make_certificate(const std::string& name);

/// A server context that shows `certificate`.
SslContext make_server_context_with(const TestCertificate& certificate);

/// A client context whose only root is `certificate`; nullptr: it has none.
SslContext make_client_context_trusting(const TestCertificate* certificate);

}  // namespace hagring::test
