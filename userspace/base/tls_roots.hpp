// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "userspace/base/tls_context.hpp"

namespace hagring {

/// Where the certificates come from that origins are verified against.
struct RootsOptions {
  /// A bundle to use instead of the host's own; empty: the host's.
  std::filesystem::path file = {};
  /// Where the host's file system is mounted.
  std::filesystem::path host = "/";
  /// Files of the certificate directories whose names begin so are left out: the node's own CA,
  /// by which an origin must never be verified. Empty: none.
  std::string ignore_prefix = {};
};

/// What was loaded, for the log and for status.
struct Roots {
  CertificateStore store;
  std::size_t certificates = 0;
  std::string source;  ///< files and directories, comma-separated
};

/// Loads roots as Go does (crypto/x509/root_linux.go, root_unix.go), since the verdict must be the
/// one that containerd would come to: SSL_CERT_FILE or the first existing bundle of a list, then
/// every file of SSL_CERT_DIR or of /etc/ssl/certs and /etc/pki/tls/certs but for links within the
/// directory. Throws StartError if `options.file` is set and has no certificate; the host's roots
/// may come out empty, and then no origin is trusted.
Roots load_roots(const RootsOptions& options);

}  // namespace hagring
