// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/bytes.hpp"
#include "userspace/http/head_scanner.hpp"

namespace hagring::egress {

/// What a client has asked a proxy for with its first request.
struct ProxiedRequest {
  enum class Kind {
    need_more,  ///< a beginning of a request
    tunnel,     ///< CONNECT host:port, and nothing behind it yet
    plain,      ///< a request without TLS, its target an absolute URL
    other,      ///< anything else: the proxy's to answer
  };

  Kind kind = Kind::need_more;
  std::string host;  ///< in lower case; IPv6 without its brackets
  std::uint16_t port = 0;
};

/// Reads the head of the first request that a client sends to an HTTP proxy, in any number of
/// segments. Strict: what a proxy might read in another way is `other`.
class ProxiedRequestReader {
 public:
  /// Of the head. Bearer tokens have some KiB; the mirror itself takes as much.
  static constexpr std::size_t kMaxHead = std::size_t{64} * 1024;

  /// Takes the next bytes of the connection. After an answer other than need_more it gives that
  /// answer again, and still keeps what it is fed.
  const ProxiedRequest& feed(ByteView bytes);

  const ProxiedRequest& request() const { return request_; }

  /// All bytes fed so far.
  ByteView bytes() const { return as_bytes(bytes_); }

  /// After Kind::plain: the bytes as the server itself would be sent them. It says that the
  /// connection ends with the answer, since the next request may be for any other server.
  Bytes for_server() const;

 private:
  ProxiedRequest read(std::size_t head_length);
  bool may_be_http() const;

  http::HeadScanner scanner_{0};
  std::string bytes_;
  std::size_t head_length_ = 0;
  std::string server_head_;
  ProxiedRequest request_;
};

}  // namespace hagring::egress
