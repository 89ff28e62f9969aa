// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/resolver.hpp"

namespace hagring {

/// Makes one connection to one address. Used on any thread.
class Connector {
 public:
  virtual ~Connector() = default;
  /// Connects on the caller's executor. Errors: the system's, or Errc::cancelled.
  virtual awaitable<Result<asio::ip::tcp::socket>> connect(asio::ip::tcp::endpoint to) = 0;
};

/// Non-blocking sockets with TCP_NODELAY and keepalive.
class SystemConnector final : public Connector {
 public:
  awaitable<Result<asio::ip::tcp::socket>> connect(asio::ip::tcp::endpoint to) override;
};

/// Sets TCP_NODELAY, and keepalive so that a peer that vanished is noticed after two minutes.
void set_connection_options(asio::ip::tcp::socket& socket);

/// Happy Eyeballs (RFC 8305) with a favourite. The preferred address is tried alone for
/// `head_start`; when that passes, or the attempt fails, the name's other addresses are raced
/// against it, families in turn. A redirected client's connect() has succeeded already, so it
/// can't fall back from a black-holed address: this does it for it. Used on any thread.
class RacingDialer final : public Dialer {
 public:
  struct Options {
    /// The preferred address's time alone (Go's and RFC 6555's 300 ms).
    Duration head_start = std::chrono::milliseconds(300);
    /// Between attempts thereafter (RFC 8305, section 5, "Connection Attempt Delay").
    Duration attempt_delay = std::chrono::milliseconds(250);
    /// When the name is looked up, so that its addresses are there at the end of the head start.
    Duration resolve_after = std::chrono::milliseconds(150);
    /// All of it, lookup included.
    Duration deadline = std::chrono::seconds(10);
    /// Addresses tried at most: a name server doesn't decide how many sockets we open.
    std::size_t max_addresses = 12;
    /// Whether an address must never be dialled, such as our own listeners (a loop) and the
    /// addresses that we invent; such an address counts as one that failed at once.
    std::function<bool(const asio::ip::tcp::endpoint&)> refuses = {};
  };

  /// `resolver` and `connector` outlive the dialer.
  RacingDialer(Resolver& resolver, Connector& connector, Options options);

  /// Errors beyond Dialer's: Errc::unavailable (the only address is one that is refused),
  /// Errc::cancelled. Losers are closed before it returns.
  awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) override;

 private:
  Resolver& resolver_;
  Connector& connector_;
  Options options_;
};

}  // namespace hagring
