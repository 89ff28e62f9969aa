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
};

/// Opens TCP connections.
class Dialer {
 public:
  virtual ~Dialer() = default;

  /// Connects on the caller's executor. Errors: Errc::timed_out, Errc::not_found (the name doesn't
  /// resolve and there is no preferred address), or the last address's own.
  virtual awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) = 0;
};

}  // namespace hagring
