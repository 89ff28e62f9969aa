// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <new>
#include <string>

namespace hagring {
namespace {

// AES-128-GCM first: on loopback the cipher is the cost. The rest is what Go's and OpenSSL's
// defaults have in common for TLS 1.2.
constexpr const char* kServerCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
constexpr const char* kClientCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA";

/// The one protocol that is spoken above, in ALPN's form (RFC 7301, section 3.1).
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int select_http11(SSL*, const unsigned char** out, unsigned char* out_size,
                  const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof(kHttp11), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/// Where an SSL remembers that a client certificate was asked for.
int requested_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int note_request(SSL* ssl, X509**, EVP_PKEY**) {
  static char mark;
  SSL_set_ex_data(ssl, requested_index(), &mark);
  return 0;  // go on without one
}

/// Whether `host` has the letters of a DNS name or an IP address, and no pattern's form.
bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' &&
         host.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
             "0123456789-_.:") == std::string_view::npos;
}

SslContext make_context(const SSL_METHOD* method, const char* ciphers) {
  SslContext context(SSL_CTX_new(method));
  if (!context) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), ciphers);
  SSL_CTX_set_ciphersuites(context.get(), kTls13Suites);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

}  // namespace

SslContext make_server_context() {
  auto context = make_context(TLS_server_method(), kServerCiphers);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_alpn_select_cb(context.get(), select_http11, nullptr);
  return context;
}

SslHandle make_server_ssl(SSL_CTX* context) {
  SslHandle ssl(SSL_new(context));
  if (!ssl) throw std::bad_alloc();
  SSL_set_accept_state(ssl.get());
  return ssl;
}

SslContext make_client_context(CertificateStore roots) {
  auto context = make_context(TLS_client_method(), kClientCiphers);
  SSL_CTX_set_cert_store(context.get(), roots.release());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  auto* parameters = SSL_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(
      parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  SSL_CTX_set_alpn_protos(context.get(), kHttp11, sizeof(kHttp11));
  SSL_CTX_set_client_cert_cb(context.get(), note_request);
  return context;
}

SslHandle make_client_ssl(SSL_CTX* context, std::string_view host) {
  SslHandle ssl(SSL_new(context));
  if (!ssl) throw std::bad_alloc();
  SSL_set_connect_state(ssl.get());
  const std::string name(host);
  if (is_name(host)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str()) != 1) {
      SSL_set_tlsext_host_name(ssl.get(), name.c_str());
      SSL_set1_host(ssl.get(), name.c_str());
    }
  } else {
    // Threat: with no name to check, any certificate would do.
    SSL_set1_host(ssl.get(), "no name to verify");
  }
  ERR_clear_error();
  return ssl;
}

bool client_certificate_requested(const SSL* ssl) noexcept {
  return SSL_get_ex_data(ssl, requested_index()) != nullptr;
}

std::string take_openssl_error() {
  const auto code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason ? reason : "OpenSSL error " + std::to_string(code);
  ERR_clear_error();
  return text;
}

}  // namespace hagring
