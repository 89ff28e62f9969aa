// SPDX-License-Identifier: Apache-2.0
#include "dht/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <stdexcept>

#include "dht/net/error.hpp"
#include "dht/net/host_certificate.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kNoMuxer = "libp2p";
constexpr std::size_t kExportedSize = 32;

/// ALPN's form of a list (RFC 7301, section 3.1).
std::string alpn_list(const std::vector<std::string>& protocols) {
  std::string list;
  for (const auto& protocol : protocols) {
    list += static_cast<char>(protocol.size());
    list += protocol;
  }
  return list;
}

const unsigned char* octets(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// What the callback of one handshake works on and leaves.
struct Check {
  WallTime now;
  std::optional<PeerId> expected;
  std::optional<PublicKey> key;
  error_code error;
  std::string reason;
};

int check_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int refuse(X509_STORE_CTX* store, Check& check, NetErrc error, std::string reason) {
  check.error = error;
  check.reason = std::move(reason);
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

int verify(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* check = static_cast<Check*>(SSL_get_ex_data(ssl, check_index()));
  if (!check) return 0;
  if (sk_X509_num(X509_STORE_CTX_get0_untrusted(store)) != 1) {
    return refuse(store, *check, NetErrc::bad_certificate, "it isn't a single certificate");
  }
  auto verdict = verify_host_certificate(X509_STORE_CTX_get0_cert(store), check->now);
  if (!verdict.key) {
    return refuse(store, *check, NetErrc::bad_certificate, std::move(verdict.reason));
  }
  check->key = std::move(verdict.key);
  const auto peer = check->key->peer_id();
  if (check->expected && *check->expected != peer) {
    return refuse(store, *check, NetErrc::wrong_peer,
                  "dialled " + check->expected->to_string() + ", reached " + peer.to_string());
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

/// Takes the client's first protocol that we speak, as go-libp2p does.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void* list) {
  const auto& protocols = *static_cast<const std::string*>(list);
  unsigned char* chosen = nullptr;
  // OpenSSL gives precedence to its first list: that is the client's here.
  if (SSL_select_next_proto(&chosen, out_size, offered, offered_size, octets(protocols),
                            static_cast<unsigned>(protocols.size())) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/// `protocols` must outlive the context.
SslContext make_context(const HostCertificate& host, const std::string& protocols) {
  SslContext context(SSL_CTX_new(TLS_method()));
  if (!context || SSL_CTX_use_certificate(context.get(), host.certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), host.key.get()) != 1) {
    throw std::runtime_error("no TLS context for the mesh: " + take_openssl_error());
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context.get(), kTls13Suites);
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), verify, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), octets(protocols),
                          static_cast<unsigned>(protocols.size()));
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, const_cast<std::string*>(&protocols));
  return context;
}

std::string chosen_protocol(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  std::string protocol(reinterpret_cast<const char*>(name), size);
  return protocol == kNoMuxer ? "" : protocol;
}

/// Keying material of a finished handshake; empty without a label.
Bytes export_secret(SSL* ssl, const std::string& label) {
  if (label.empty()) return {};
  Bytes secret(kExportedSize);
  if (SSL_export_keying_material(ssl, secret.data(), secret.size(), label.data(), label.size(),
                                 nullptr, 0, /*use_context=*/0) != 1) {
    throw std::runtime_error("OpenSSL exports no keying material: " + take_openssl_error());
  }
  return secret;
}

}  // namespace

TlsSecurity::TlsSecurity(const Identity& identity, Clock& clock, TlsOptions options)
    : clock_(clock),
      protocols_(alpn_list(options.protocols)),
      exporter_label_(std::move(options.exporter_label)),
      context_(make_context(make_host_certificate(identity, clock.wall()), protocols_)) {}

awaitable<Result<SecureConnection>> TlsSecurity::connect(std::unique_ptr<ByteStream> below,
                                                         std::optional<PeerId> expected,
                                                         TlsFailure* failure) {
  SslHandle ssl(SSL_new(context_.get()));
  if (!ssl) throw std::bad_alloc();
  SSL_set_connect_state(ssl.get());
  co_return co_await handshake(std::move(ssl), std::move(below), std::move(expected), failure);
}

awaitable<Result<SecureConnection>> TlsSecurity::accept(std::unique_ptr<ByteStream> below,
                                                        TlsFailure* failure) {
  SslHandle ssl(SSL_new(context_.get()));
  if (!ssl) throw std::bad_alloc();
  SSL_set_accept_state(ssl.get());
  co_return co_await handshake(std::move(ssl), std::move(below), std::nullopt, failure);
}

awaitable<Result<SecureConnection>> TlsSecurity::handshake(SslHandle ssl,
                                                           std::unique_ptr<ByteStream> below,
                                                           std::optional<PeerId> expected,
                                                           TlsFailure* failure) {
  Check check{clock_.wall(), std::move(expected), std::nullopt, {}, {}};
  auto tls = std::make_unique<TlsStream>(ssl.release(), std::move(below));
  SSL_set_ex_data(tls->ssl(), check_index(), &check);
  const auto done = co_await tls->handshake();
  SSL_set_ex_data(tls->ssl(), check_index(), nullptr);
  if (!done || !check.key) {
    error_code error = check.error;
    if (!error) error = done ? make_error_code(NetErrc::bad_certificate) : done.error();
    if (tls->failure().alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
      error = NetErrc::no_common_protocol;
    }
    if (failure) {
      failure->reason = check.reason.empty() ? tls->failure().text : check.reason;
      if (error == NetErrc::wrong_peer) failure->peer = check.key->peer_id();
    }
    co_return error;
  }
  auto muxer = chosen_protocol(tls->ssl());
  auto exported = export_secret(tls->ssl(), exporter_label_);
  const auto peer = check.key->peer_id();
  co_return SecureConnection{std::move(tls), std::move(*check.key), peer, std::move(muxer),
                             std::move(exported)};
}

}  // namespace hagring::dht
