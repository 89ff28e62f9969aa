// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string_view>

namespace hagring {

struct SslDeleter {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(X509_STORE* store) const noexcept { X509_STORE_free(store); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;
using SslHandle = std::unique_ptr<SSL, SslDeleter>;
using Certificate = std::unique_ptr<X509, SslDeleter>;
using CertificateStore = std::unique_ptr<X509_STORE, SslDeleter>;
using PrivateKey = std::unique_ptr<EVP_PKEY, SslDeleter>;

/// TLS 1.3's suites in our order: AES-128-GCM first, since between near hosts the cipher is the
/// cost.
inline constexpr const char* kTls13Suites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/// For connections that we terminate: TLS 1.2 and 1.3, HTTP/1.1 by ALPN, no renegotiation, no
/// resumption (containerd makes a transport without a session cache for each pull). It has no
/// certificate: put one on each SSL. Safe to use on several threads.
SslContext make_server_context();

/// A server's SSL from `context`, ready for TlsStream.
SslHandle make_server_ssl(SSL_CTX* context);

/// For connections that we open: TLS 1.2 and 1.3, the peer verified against `roots`, HTTP/1.1 by
/// ALPN, no client certificate. Takes the verdict that Go would: names from the SAN only, and any
/// certificate among the roots is an anchor. Safe to use on several threads.
SslContext make_client_context(CertificateStore roots);

/// A client's SSL from `context` for `host`, a DNS name (sent as SNI) or an IP address, which the
/// peer's certificate must be for. With anything else (empty, a name with a dot in front, which
/// OpenSSL takes for a pattern) no certificate will do.
SslHandle make_client_ssl(SSL_CTX* context, std::string_view host);

/// Whether the server of this connection (made by make_client_ssl) has asked for a client
/// certificate. It was given none; who terminates such a connection for a client that has one
/// would break it.
bool client_certificate_requested(const SSL* ssl) noexcept;

/// OpenSSL's last error on this thread as text, which is cleared.
std::string take_openssl_error();

}  // namespace hagring
