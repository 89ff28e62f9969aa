// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Where to connect to: an address that is tried first, a name whose other addresses are raced
/// against it, or both.
struct Destination {
  std::optional<asio::ip::tcp::endpoint> preferred;
  std::string host;  ///< DNS name; empty: only `preferred` is tried
  std::uint16_t port = 443;
  bool tls = false;  ///< TLS will be spoken: an egress proxy may be asked for a tunnel
};

/// A proxy that takes requests for servers without TLS (RFC 9112, section 3.2.2).
struct PlainProxy {
  std::string host;
  std::uint16_t port = 80;
  std::string authorization{};  ///< the value of Proxy-Authorization, a secret; empty: none
};

/// Opens TCP connections.
class Dialer {
 public:
  virtual ~Dialer() = default;

  /// Connects on the caller's executor. Errors: Errc::timed_out, Errc::not_found (the name doesn't
  /// resolve and there is no preferred address), or the last address's own.
  virtual awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) = 0;

  /// The proxy that must be asked, by an absolute URL, instead of `destination`, which is to be
  /// spoken to without TLS; nullopt: there is none.
  virtual std::optional<PlainProxy> plain_proxy(const Destination& destination) const {
    (void)destination;
    return std::nullopt;
  }
};

}  // namespace hagring
