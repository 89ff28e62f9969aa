// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "userspace/base/byte_stream.hpp"

namespace hagring {

/// TLS over any ByteStream: an SSL of our own over memory buffers, because asio::ssl's fixed
/// 17 KiB buffers cost a third of a sender's CPU (records are gathered into writes of 256 KiB).
///
/// Errors beside those of ByteStream: Errc::bad_message (TLS failed: see failure()), and
/// Errc::truncated when the connection ended without close_notify. Many servers end that way
/// after a whole response, so who reads a length of its own may take it for the end; who reads
/// until the end must not, since anyone on the path can send a FIN.
class TlsStream final : public ByteStream {
 public:
  /// What went wrong in TLS itself. `alert` is the peer's alert number (RFC 8446, section 6.2) if
  /// it sent one, else -1; `text` is OpenSSL's reason for people.
  struct Failure {
    int alert = -1;
    long verify_result = 0;  ///< X509_V_ERR_* when the peer's chain was refused
    std::string text;
  };

  /// Takes a fresh SSL, already set up as client or server (SSL_set_connect_state, SNI, verify
  /// name…), and the stream below. `read_ahead`: bytes already read from it (a peeked ClientHello).
  TlsStream(SSL* ssl, std::unique_ptr<ByteStream> below, ByteView read_ahead = {});
  /// Closes; operations under way end with Errc::cancelled, and may do so after this.
  ~TlsStream() override;

  /// Runs the handshake to its end. Errors: Errc::bad_message (TLS failed: see failure()), or the
  /// stream's own, Errc::end_of_stream among them.
  awaitable<Result<void>> handshake();

  /// Filled when an operation has returned Errc::bad_message. In TLS 1.3 a client's alert may come
  /// after a server's handshake is done, that is with the first read.
  const Failure& failure() const;
  SSL* ssl();

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override;
  awaitable<Result<void>> write(ByteView from) override;
  awaitable<Result<void>> shutdown_write() override;
  void close() override;
  void set_inactivity_limit(Duration limit) override;

 private:
  struct State;

  /// Shared with the operations under way only, which may resume once more after this is gone.
  std::shared_ptr<State> state_;
};

/// Whether `alert` says that its sender refuses the certificate it was shown (42 to 46 and 48:
/// Go sends 42, OpenSSL 48, for an unknown CA).
bool is_certificate_alert(int alert) noexcept;

}  // namespace hagring
