// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/breaker.hpp"
#include "registry/upstream.hpp"
#include "userspace/http/url.hpp"

namespace hagring::registry {

/// How an origin is asked.
struct Asking {
  /// All of it, connecting included; nothing: UpstreamClient's own limits.
  std::optional<Duration> patience{};
  /// For the answer's head, once connected; nothing: UpstreamClient::Options::response.
  std::optional<Duration> response{};
  /// Others may have the answer: an origin that is down or limits this client isn't asked. Without
  /// it this is the last resort, and the origin is always asked.
  bool others = false;
};

/// Asks origins on behalf of intercepted clients, with the clients' own header fields, and learns
/// from what comes of it which of them are down. Used from one thread.
class Origin {
 public:
  struct Options {
    /// Hops of one read, as many as containerd follows (Go's net/http, defaultCheckRedirect).
    unsigned max_redirects = 10;
    /// An origin that was given up after so long is suspected to be down.
    Duration suspicious_after = std::chrono::seconds(1);
  };

  Origin(Clock& clock, UpstreamClient& client, Breaker& breaker)
      : Origin(clock, client, breaker, Options()) {}
  Origin(Clock& clock, UpstreamClient& client, Breaker& breaker, Options options)
      : clock_(clock), client_(client), breaker_(breaker), options_(options) {}

  /// Sends `request`, which has no body, as it is. Errors: OriginErrc (only if there are others to
  /// ask), and UpstreamClient::send's.
  awaitable<Result<Exchange>> ask(Upstream to, http::Request request, Asking how = {});

  /// Reads content by digest: sent with `Accept-Encoding: identity`, since the digest is that of
  /// the bytes as they are; redirects of a GET are followed, so that the bytes pass by here. Where
  /// that doesn't end with 200 or 206 (a host that can't be verified or reached, a signature that
  /// has expired, http after https) the first redirect itself is the answer, for the client to
  /// follow as it would without us. On another host than the origin's no credentials are sent
  /// (stricter than Go, which keeps them for subdomains). Errors as ask's.
  awaitable<Result<Exchange>> read(Upstream to, http::Request request, Asking how = {});

  /// Opens a connection for a request that can't be sent twice; the caller does the rest.
  awaitable<Result<Exchange>> open(Upstream to);

  /// Since when and why the origin is taken for dead, for people; empty: it isn't.
  std::string outage(const Upstream& to) const;

 private:
  void learn(const Upstream& to, const error_code& error, UpstreamClient::Stage stage,
             Duration waited);
  awaitable<Result<Exchange>> follow(http::Url base, Upstream to, http::Request request,
                                     std::string location);

  Clock& clock_;
  UpstreamClient& client_;
  Breaker& breaker_;
  const Options options_;
};

}  // namespace hagring::registry
