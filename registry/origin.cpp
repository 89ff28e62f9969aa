// SPDX-License-Identifier: Apache-2.0
#include "registry/origin.hpp"

#include "userspace/base/log.hpp"

namespace hagring::registry {
namespace {

/// The most of a redirect's own body that is read to keep its connection.
constexpr std::size_t kMaxRedirectBody = 16UL * 1024;

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::optional<std::string> location_of(const http::Response& response) {
  if (!is_redirect(response.status)) return std::nullopt;
  const auto location = response.headers.get("Location");
  return location ? std::optional<std::string>(*location) : std::nullopt;
}

}  // namespace

awaitable<Result<Exchange>> Origin::ask(Upstream to, http::Request request,
                                        std::optional<Duration> limit) {
  co_return co_await client_.send(std::move(to), std::move(request), limit);
}

awaitable<Result<Exchange>> Origin::read(Upstream to, http::Request request) {
  request.headers.set("Accept-Encoding", "identity");
  CO_TRY(auto first, co_await client_.send(to, request));
  const auto location = location_of(first.response);
  if (request.method != "GET" || !location || to.host.empty()) co_return std::move(first);
  const http::Url base{.scheme = to.tls ? "https" : "http",
                       .host = to.host,
                       .port = to.port,
                       .target = request.target};
  auto final = co_await follow(base, to, std::move(request), *location);
  if (!final) {
    log::debug("origin", "a redirect of {} is left to the client: {}", to.host,
               final.error().message());
    co_return std::move(first);
  }
  // Only for the connection's sake; what comes of it doesn't matter.
  (void)co_await first.connection().skip_body(kMaxRedirectBody);
  co_return final;
}

awaitable<Result<Exchange>> Origin::follow(http::Url base, Upstream to, http::Request request,
                                           std::string location) {
  for (unsigned hop = 0; hop < options_.max_redirects; ++hop) {
    CO_TRY(auto url, http::resolve_url(base, location));
    const bool downgrade = base.scheme == "https" && url.scheme != "https";
    if (downgrade) co_return Errc::unsupported;
    const bool same_server =
        url.scheme == base.scheme && url.host == base.host && url.port == base.port;
    if (!same_server) {
      for (const auto* secret : {"Authorization", "Cookie"}) request.headers.erase(secret);
      to = {.host = url.host, .port = url.port, .tls = url.scheme == "https", .preferred = {}};
    }
    request.target = url.target;
    request.headers.set("Host", url.authority());
    CO_TRY(auto exchange, co_await client_.send(to, request));
    const auto& response = exchange.response;
    if (response.status == 200 || response.status == 206) {
      exchange.redirected = true;
      co_return std::move(exchange);
    }
    const auto next = location_of(response);
    if (!next) co_return Errc::unavailable;
    location = *next;
    base = std::move(url);
    (void)co_await exchange.connection().skip_body(kMaxRedirectBody);
  }
  co_return Errc::too_large;
}

}  // namespace hagring::registry
