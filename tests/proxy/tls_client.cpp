// SPDX-License-Identifier: Apache-2.0
#include "tests/proxy/tls_client.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>

namespace hagring::test {

TlsEndpoint::TlsEndpoint(SslHandle ssl, BlockingSocket socket, std::size_t segment)
    : ssl_(std::move(ssl)), socket_(std::move(socket)), segment_(segment) {
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

bool TlsEndpoint::handshake() {
  while (true) {
    const int done = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), done);
    flush();
    if (done == 1) return true;
    if (error != SSL_ERROR_WANT_READ) {
      const auto code = ERR_peek_error();
      const int reason = ERR_GET_REASON(code);
      if (reason > SSL_AD_REASON_OFFSET) alert_ = reason - SSL_AD_REASON_OFFSET;
      ERR_clear_error();
      return false;
    }
    if (!fill()) return false;
  }
}

void TlsEndpoint::send(std::string_view bytes) {
  SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
  flush();
}

std::string TlsEndpoint::receive_some() {
  std::string bytes(64 * 1024, '\0');
  while (true) {
    const int size = SSL_read(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (size > 0) return bytes.substr(0, static_cast<std::size_t>(size));
    const int error = SSL_get_error(ssl_.get(), size);
    flush();
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ || !fill()) return {};
  }
}

std::string TlsEndpoint::receive_all() {
  std::string all;
  for (std::string part; !(part = receive_some()).empty();) all += part;
  return all;
}

void TlsEndpoint::flush() {
  std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())), '\0');
  if (bytes.empty()) return;
  BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  for (std::size_t sent = 0; sent < bytes.size(); sent += std::min(segment_, bytes.size() - sent)) {
    socket_.send(std::string_view(bytes).substr(sent, segment_));
  }
}

bool TlsEndpoint::fill() {
  const auto bytes = socket_.receive_some();
  if (bytes.empty()) return false;
  BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  return true;
}

SslHandle make_nameless_client_ssl(SSL_CTX* context) {
  SslHandle ssl(SSL_new(context));
  SSL_set_connect_state(ssl.get());
  return ssl;
}

SslHandle make_client_ssl_for(SSL_CTX* context, std::string_view host, int version) {
  auto ssl = make_client_ssl(context, host);
  SSL_set_min_proto_version(ssl.get(), version);
  SSL_set_max_proto_version(ssl.get(), version);
  return ssl;
}

}  // namespace hagring::test
