// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/breaker.hpp"
#include "registry/rate_limits.hpp"
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

/// What is remembered of origins; shared by all threads.
struct OriginMemory {
  Breaker& breaker;
  RateLimits& limits;
};

/// Asks origins on behalf of intercepted clients, with the clients' own header fields, and learns
/// from what comes of it which of them are down or limit whom. Used from one thread.
class Origin {
 public:
  struct Options {
    /// Hops of one read, as many as containerd follows (Go's net/http, defaultCheckRedirect).
    unsigned max_redirects = 10;
    /// An origin that was given up after so long is suspected to be down.
    Duration suspicious_after = std::chrono::seconds(1);
    /// For the body of an answer that is kept.
    Duration kept_body = std::chrono::seconds(5);
    /// For finding out that a token service is down: longer than a probe of one that doesn't
    /// answer to TLS (BreakerProbes::Options::connect). A slow one isn't down.
    Duration token_service = std::chrono::seconds(6);
  };

  Origin(Clock& clock, UpstreamClient& client, OriginMemory memory)
      : Origin(clock, client, memory, Options()) {}
  Origin(Clock& clock, UpstreamClient& client, OriginMemory memory, Options options)
      : clock_(clock), client_(client), memory_(memory), options_(options) {}

  /// Sends `request`, which has no body, as it is. An answer of 429 that says for how long is given
  /// again, without asking, to the same request for some seconds. Errors: OriginErrc (only if there
  /// are others to ask), and UpstreamClient::send's.
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

  /// Whether a client that gets this answer can do what it asks for: false for one that is to get a
  /// token from a service that is down. Where that isn't known it is looked into; what isn't found
  /// out in time counts as well.
  awaitable<bool> challenge_can_be_met(Upstream to, http::Response response);

  /// Since when and why the origin is taken for dead, for people; empty: it isn't.
  std::string outage(const Upstream& to) const;

 private:
  awaitable<Result<Exchange>> send(Upstream to, http::Request request, Asking how);
  awaitable<Result<Exchange>> keep(OriginServer server, http::Request request, Exchange exchange);
  void learn(const Upstream& to, const error_code& error, UpstreamClient::Stage stage,
             Duration waited);
  awaitable<Result<Exchange>> follow(http::Url base, Upstream to, http::Request request,
                                     std::string location);

  Clock& clock_;
  UpstreamClient& client_;
  const OriginMemory memory_;
  const Options options_;
};

}  // namespace hagring::registry
