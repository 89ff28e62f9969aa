// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::registry {

/// What a TLS handshake with an origin has shown.
enum class OriginVerdict {
  verified,                  ///< its chain leads to one of the host's roots
  not_verified,              ///< it doesn't: a private CA that only the client knows
  wants_client_certificate,  ///< the client may have one; we don't
  refused_by_proxy,          ///< the egress proxy lets nobody, or not us, connect to it
  unreachable,               ///< no connection, or none in time
};

std::string_view to_string(OriginVerdict verdict);

/// Finds out, before connections for a name are terminated for the first time, whether we could
/// stand in for the client at its origin. Used from one thread.
class OriginCheck {
 public:
  struct Options {
    /// Connection and handshake together. Below proxy::SessionOptions::decision_limit: a session that
    /// stops waiting splices its client to the origin, and where nobody answers that loses the pull.
    Duration limit = std::chrono::seconds(3);
    /// How long verdicts are remembered.
    Duration verified = std::chrono::hours(6);
    Duration refused = std::chrono::minutes(5);
    Duration unreachable = std::chrono::seconds(30);
    std::size_t capacity = 1024;
  };
  struct Known {
    std::string host;  ///< `host:port`
    OriginVerdict verdict;
    std::string reason;  ///< for people
  };

  OriginCheck(Clock& clock, Dialer& dialer, SSL_CTX* tls)
      : OriginCheck(clock, dialer, tls, Options()) {}
  OriginCheck(Clock& clock, Dialer& dialer, SSL_CTX* tls, Options options)
      : clock_(clock), dialer_(dialer), tls_(tls), options_(options) {}

  /// The verdict on `host`, a DNS name, connected to at `original`, the address that a client had
  /// chosen, or others of the name. Callers at the same time share one handshake. An unreachable
  /// origin may be stood in for: peers may have what it would give.
  awaitable<OriginVerdict> inspect(std::string host, asio::ip::tcp::endpoint original) {
    return inspect({.preferred = original, .host = std::move(host), .port = original.port()});
  }
  /// The same for `origin`, which has no preferred address if the client asks an egress proxy for
  /// it.
  awaitable<OriginVerdict> inspect(Destination origin);

  /// Drops what is remembered of a host, because it has turned out otherwise.
  void forget(const std::string& host, std::uint16_t port);

  /// What is remembered, for the status page.
  std::vector<Known> known() const;

 private:
  struct Entry {
    OriginVerdict verdict = OriginVerdict::unreachable;
    std::string reason;
    TimePoint until;
  };
  awaitable<Entry> shake_hands(Destination origin);
  void remember(const std::string& key, Entry entry);

  Clock& clock_;
  Dialer& dialer_;
  SSL_CTX* tls_;
  const Options options_;
  std::map<std::string, Entry> entries_;
  /// Handshakes under way; whoever waits for one shares its timer with whoever makes it.
  std::map<std::string, std::shared_ptr<asio::steady_timer>> under_way_;
};

}  // namespace hagring::registry
