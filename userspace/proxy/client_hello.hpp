// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/bytes.hpp"

namespace hagring::proxy {

/// What decides about a TLS connection, from its first message (RFC 8446, section 4.1.2).
struct ClientHello {
  /// The server name, lower case, without a dot at the end; empty: none was sent.
  std::string server_name;
  /// Protocols offered by ALPN, as they came; empty: no ALPN.
  std::vector<std::string> alpn;
  /// TLS versions offered (0x0303 is 1.2, 0x0304 is 1.3), without GREASE.
  std::vector<std::uint16_t> versions;
  /// A real or a greased Encrypted ClientHello: the server name may not be the true one.
  bool has_encrypted_client_hello = false;

  /// Whether we could answer it: TLS 1.2 or 1.3, and HTTP/1.1 or no ALPN at all.
  bool can_be_terminated() const;
};

/// What the first bytes of a connection have turned out to be.
enum class HelloProgress {
  need_more,  ///< a beginning of a ClientHello
  not_tls,    ///< not a TLS handshake record
  hello,      ///< complete: see ClientHelloReader::hello
  malformed,  ///< it began as TLS and breaks its rules or our limits
};

/// Reads a ClientHello that arrives in any number of segments and TLS records. The bytes are the
/// client's: they are copied, bounded and never trusted.
class ClientHelloReader {
 public:
  /// The handshake message's greatest size that is read. Hellos with ML-KEM shares have 2 to 3 KiB,
  /// OpenSSL itself accepts 128 KiB, Go 64 KiB.
  static constexpr std::size_t kMaxHello = std::size_t{32} * 1024;
  /// All bytes together, record headers included: a record may carry as little as one byte.
  static constexpr std::size_t kMaxBytes = std::size_t{64} * 1024;

  /// Takes the next bytes of the connection. After an answer other than need_more it gives that
  /// answer again, and still keeps what it is fed.
  HelloProgress feed(ByteView bytes);

  HelloProgress progress() const { return progress_; }

  /// After HelloProgress::hello.
  const ClientHello& hello() const { return hello_; }

  /// All bytes fed so far, for whoever goes on with the connection.
  ByteView bytes() const { return bytes_; }

 private:
  HelloProgress advance();
  HelloProgress parse_message();

  Bytes bytes_;
  std::size_t next_record_ = 0;  ///< where in bytes_ the first unread record begins
  Bytes message_;                ///< the handshake message, of all records so far
  HelloProgress progress_ = HelloProgress::need_more;
  ClientHello hello_;
};

/// Whether some bytes are the beginning of something.
enum class Prefix { no, maybe, yes };

/// Tells plain HTTP/1 ("GET /v2/…", "CONNECT registry:443 …") from other bytes by its method:
/// `yes` once a known method, a space and a first character of a target are there.
Prefix http_request_prefix(ByteView bytes);

/// Whether `name` is a host name as DNS and certificates have it: letters, digits, hyphens and
/// underscores in labels of 1 to 63, 253 together, no dot at either end, and not an IPv4 address.
bool is_host_name(std::string_view name);

}  // namespace hagring::proxy
