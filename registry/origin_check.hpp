// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "registry/breaker.hpp"
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
  undecided,                 ///< connected, but no handshake in time, and never verified before
};

std::string_view to_string(OriginVerdict verdict);

/// The origins, as `host:port`, that have ever been verified; shared by all threads.
class VerifiedOrigins {
 public:
  bool contains(const std::string& origin) const;
  void add(const std::string& origin);
  void remove(const std::string& origin);

 private:
  static constexpr std::size_t kCapacity = 1024;
  mutable std::mutex mutex_;
  std::set<std::string> origins_;
};

/// Finds out, before connections for a name are terminated for the first time, whether we could
/// stand in for the client at its origin. Used from one thread.
class OriginCheck {
 public:
  struct Options {
    /// Connection and handshake together. Below proxy::SessionOptions::decision_limit: a session
    /// that stops waiting splices its client to the origin, and where nobody answers that loses the
    /// pull.
    Duration limit = std::chrono::seconds(3);
    /// How long verdicts are remembered.
    Duration verified = std::chrono::hours(6);
    Duration refused = std::chrono::minutes(5);
    Duration unreachable = std::chrono::seconds(30);
    Duration undecided = std::chrono::seconds(10);
    std::size_t capacity = 1024;
  };
  struct Known {
    std::string host;  ///< `host:port`
    OriginVerdict verdict;
    std::string reason;  ///< for people
  };

  OriginCheck(Clock& clock, Dialer& dialer, SSL_CTX* tls)
      : OriginCheck(clock, dialer, tls, Options()) {}
  /// `breaker` may be null; it knows what other threads and requests have found out, and is told.
  /// `verified` is shared with other threads' checks; null: with none.
  OriginCheck(Clock& clock, Dialer& dialer, SSL_CTX* tls, Options options,
              Breaker* breaker = nullptr, VerifiedOrigins* verified = nullptr)
      : clock_(clock),
        dialer_(dialer),
        tls_(tls),
        options_(options),
        breaker_(breaker),
        verified_(verified == nullptr ? &own_verified_ : verified) {}
  OriginCheck(const OriginCheck&) = delete;

  /// The verdict on `host`, a DNS name, connected to at `original`, the address that a client had
  /// chosen, or others of the name. Callers at the same time share one handshake. An unreachable
  /// origin may be stood in for: peers may have what it would give. One that is only slow may not,
  /// unless it has been verified before: what it shows in the end may be what only its client
  /// trusts.
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
    std::string reason{};
    TimePoint until{};
  };
  awaitable<Entry> shake_hands(Destination origin, bool verified_before);
  bool known_to_be_unreachable(const Destination& origin) const;
  Duration lifetime(OriginVerdict verdict) const;
  void tell_breaker(const Destination& origin, const Entry& entry);
  void remember(const std::string& key, Entry entry);

  Clock& clock_;
  Dialer& dialer_;
  SSL_CTX* tls_;
  const Options options_;
  Breaker* const breaker_;
  VerifiedOrigins own_verified_;
  VerifiedOrigins* const verified_;
  std::map<std::string, Entry> entries_;
  /// Handshakes under way; whoever waits for one shares its timer with whoever makes it.
  std::map<std::string, std::shared_ptr<asio::steady_timer>> under_way_;
};

}  // namespace hagring::registry
