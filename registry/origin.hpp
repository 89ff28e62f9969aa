// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/upstream.hpp"
#include "userspace/http/url.hpp"

namespace hagring::registry {

/// Asks origins on behalf of intercepted clients, with the clients' own header fields. Used from
/// one thread.
class Origin {
 public:
  struct Options {
    /// Hops of one read, as many as containerd follows (Go's net/http, defaultCheckRedirect).
    unsigned max_redirects = 10;
  };

  explicit Origin(UpstreamClient& client) : Origin(client, Options()) {}
  Origin(UpstreamClient& client, Options options) : client_(client), options_(options) {}

  /// Sends `request`, which has no body, as it is. Errors as UpstreamClient::send's.
  awaitable<Result<Exchange>> ask(Upstream to, http::Request request,
                                  std::optional<Duration> limit = std::nullopt);

  /// Reads content by digest: sent with `Accept-Encoding: identity`, since the digest is that of
  /// the bytes as they are; redirects of a GET are followed, so that the bytes pass by here. Where
  /// that doesn't end with 200 or 206 (a host that can't be verified or reached, a signature that
  /// has expired, http after https) the first redirect itself is the answer, for the client to
  /// follow as it would without us. On another host than the origin's no credentials are sent
  /// (stricter than Go, which keeps them for subdomains).
  awaitable<Result<Exchange>> read(Upstream to, http::Request request);

  UpstreamClient& client() { return client_; }

 private:
  awaitable<Result<Exchange>> follow(http::Url base, Upstream to, http::Request request,
                                     std::string location);

  UpstreamClient& client_;
  const Options options_;
};

}  // namespace hagring::registry
