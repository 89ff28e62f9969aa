// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dht/identity.hpp"
#include "userspace/base/byte_stream.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::dht {

inline constexpr const char* kTlsProtocol = "/tls/1.0.0";
inline constexpr const char* kYamuxProtocol = "/yamux/1.0.0";

/// A connection whose other end has proved who it is.
struct SecureConnection {
  std::unique_ptr<ByteStream> stream;
  PublicKey key;      ///< the peer's
  PeerId peer;        ///< key.peer_id()
  std::string muxer;  ///< what ALPN has chosen; empty: nothing, or to be agreed on by multistream
  /// What both ends of this very connection can compute, and nobody else (TlsOptions).
  Bytes exported{};
};

/// What is spoken above TLS.
struct TlsOptions {
  /// Offered and taken, by ALPN (RFC 7301). By default libp2p's early muxer negotiation.
  std::vector<std::string> protocols{kYamuxProtocol, "libp2p"};
  /// With one, SecureConnection::exported is 32 bytes of keying material under this label (RFC
  /// 8446, section 7.5), without a context.
  std::string exporter_label{};
};

/// What a handshake ended in when it failed.
struct TlsFailure {
  std::string reason;          ///< for people
  std::optional<PeerId> peer;  ///< who answered, with NetErrc::wrong_peer
};

/// libp2p's TLS 1.3 (libp2p specs, tls/tls.md): certificates both ways, no names, no resumption.
/// One certificate is made with it and used for all connections. Used from one thread.
class TlsSecurity {
 public:
  /// `clock` must outlive this; handshakes under way must have ended before it goes.
  TlsSecurity(const Identity& identity, Clock& clock, TlsOptions options = {});
  TlsSecurity(const TlsSecurity&) = delete;
  TlsSecurity& operator=(const TlsSecurity&) = delete;

  /// Handshakes as the client over `below`. With `expected` the peer must be that one.
  /// Errors: NetErrc::wrong_peer, NetErrc::bad_certificate, NetErrc::no_common_protocol (ALPN),
  /// Errc::bad_message (TLS failed), or the stream's; `failure`, if given, says more. A server that
  /// refuses us shows it with the first read only. No deadline of its own.
  awaitable<Result<SecureConnection>> connect(std::unique_ptr<ByteStream> below,
                                              std::optional<PeerId> expected,
                                              TlsFailure* failure = nullptr);
  /// The same as the server.
  awaitable<Result<SecureConnection>> accept(std::unique_ptr<ByteStream> below,
                                             TlsFailure* failure = nullptr);

 private:
  awaitable<Result<SecureConnection>> handshake(SslHandle ssl, std::unique_ptr<ByteStream> below,
                                                std::optional<PeerId> expected,
                                                TlsFailure* failure);

  Clock& clock_;
  const std::string protocols_;  ///< in ALPN's form
  const std::string exporter_label_;
  SslContext context_;
};

}  // namespace hagring::dht
