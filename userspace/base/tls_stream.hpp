// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "userspace/base/byte_stream.hpp"

namespace hagring {

/// TLS over any ByteStream: an SSL of our own over memory buffers, because asio::ssl's fixed
/// 17 KiB buffers cost a third of a sender's CPU (records are gathered into writes of 256 KiB).
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
  ~TlsStream() override;

  /// Runs the handshake to its end. Errors: Errc::bad_message (TLS failed: see failure()), or the
  /// stream's own.
  awaitable<Result<void>> handshake();

  const Failure& failure() const { return failure_; }
  SSL* ssl() { return ssl_.get(); }

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override;
  awaitable<Result<void>> write(ByteView from) override;
  awaitable<Result<void>> shutdown_write() override;
  void close() override;
  void set_inactivity_limit(Duration limit) override;

 private:
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  awaitable<Result<void>> flush();
  awaitable<Result<void>> fill();
  error_code fail(int ssl_return);

  std::unique_ptr<SSL, Free> ssl_;
  std::unique_ptr<ByteStream> below_;
  Bytes in_;
  bool flushing_ = false;
  Failure failure_;
};

}  // namespace hagring
