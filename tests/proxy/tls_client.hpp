// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tests/proxy/blocking_socket.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::test {

/// An OpenSSL endpoint on a blocking socket, client or server, which sends its bytes in segments of
/// a chosen size.
class TlsEndpoint {
 public:
  TlsEndpoint(SslHandle ssl, BlockingSocket socket, std::size_t segment = SIZE_MAX);

  /// False when it fails; `alert()` then has the alert that was received, or -1.
  bool handshake();
  void send(std::string_view bytes);
  /// Empty at the end, orderly or not.
  std::string receive_some();
  std::string receive_all();
  int alert() const { return alert_; }
  SSL* ssl() { return ssl_.get(); }
  BlockingSocket& socket() { return socket_; }

 private:
  void flush();
  bool fill();

  SslHandle ssl_;
  BlockingSocket socket_;
  std::size_t segment_;
  int alert_ = -1;
};

/// A client's SSL that sends no server name and verifies no name, as Go does for an IP address.
SslHandle make_nameless_client_ssl(SSL_CTX* context);

/// A client's SSL for TLS `version` only.
SslHandle make_client_ssl_for(SSL_CTX* context, std::string_view host, int version);

}  // namespace hagring::test
