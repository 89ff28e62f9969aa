// SPDX-License-Identifier: Apache-2.0
#include "registry/origin.hpp"

#include "registry/canned_answer.hpp"
#include "registry/challenge.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/own_trouble.hpp"

namespace hagring::registry {
namespace {

/// The most of a redirect's own body that is read to keep its connection.
constexpr std::size_t kMaxRedirectBody = 16UL * 1024;

/// Longer than any request: its own limits end it.
constexpr Duration kForever = std::chrono::hours(24);

/// Of what a token service is asked for by a probe; a longer query is left out of it.
constexpr std::size_t kMaxTokenTarget = 2UL * 1024;

/// More than the registries' errors have.
constexpr std::size_t kMaxKeptBody = 8UL * 1024;

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Reads a body, as far as kMaxKeptBody.
awaitable<Result<void>> collect(http::Connection& connection, std::string& into) {
  Bytes buffer(4096);
  while (into.size() < kMaxKeptBody) {
    CO_TRY(const auto size, co_await connection.read_body(buffer));
    if (size == 0) co_return Result<void>();
    into.append(as_text(ByteView(buffer).first(size)));
  }
  co_return Errc::too_large;
}

std::optional<std::string> location_of(const http::Response& response) {
  if (!is_redirect(response.status)) return std::nullopt;
  const auto location = response.headers.get("Location");
  return location ? std::optional<std::string>(*location) : std::nullopt;
}

}  // namespace

awaitable<Result<Exchange>> Origin::ask(Upstream to, http::Request request, Asking how) {
  const auto server = OriginServer::of(to);
  auto& limits = memory_.limits;
  if (how.others && limits.limits(server, request)) co_return OriginErrc::limited;
  if (auto answer = how.others ? std::nullopt : limits.remembered(server, request)) {
    co_return co_await canned_answer(client_, request.method, std::move(answer->response),
                                     std::move(answer->body));
  }
  CO_TRY(auto exchange, co_await send(std::move(to), request, how));
  if (!limits.learn(server, request, exchange.response)) co_return std::move(exchange);
  co_return co_await keep(server, std::move(request), std::move(exchange));
}

/// Remembers an answer, which has to be taken off its connection for that.
awaitable<Result<Exchange>> Origin::keep(OriginServer server, http::Request request,
                                         Exchange exchange) {
  RateLimits::Answer answer{exchange.response, ""};
  if (request.method == "HEAD") {
    memory_.limits.remember(server, request, std::move(answer));
    co_return std::move(exchange);
  }
  const auto& body = exchange.response.body;
  if (body.kind == http::BodyLength::Kind::length && body.bytes > kMaxKeptBody) {
    co_return std::move(exchange);
  }
  // Of a longer one whose length wasn't told this much is passed on.
  const auto read = co_await with_deadline(clock_, options_.kept_body,
                                           collect(exchange.connection(), answer.body));
  if (!read && is_cancelled(read.error())) co_return read.error();
  if (read) memory_.limits.remember(server, request, answer);
  co_return co_await canned_answer(client_, request.method, std::move(answer.response),
                                   std::move(answer.body));
}

awaitable<Result<Exchange>> Origin::send(Upstream to, http::Request request, Asking how) {
  const auto server = OriginServer::of(to);
  CO_TRY(auto leave, memory_.breaker.admit(server, how.others, co_await asio::this_coro::executor));
  const auto begun = clock_.now();
  auto stage = UpstreamClient::Stage::connecting;
  auto exchange =
      co_await with_deadline(leave.fate(), how.patience.value_or(kForever),
                             client_.send(to, std::move(request), how.response, &stage));
  if (exchange) {
    memory_.breaker.answered(server, exchange->response.status, to.preferred);
    co_return std::move(exchange);
  }
  // Not by its own time: another request has found out that the origin is down.
  if (exchange.error() == Errc::timed_out && leave.fate().sealed()) co_return OriginErrc::down;
  learn(to, exchange.error(), stage, clock_.now() - begun);
  co_return exchange.error();
}

awaitable<Result<Exchange>> Origin::open(Upstream to) {
  const auto begun = clock_.now();
  auto stage = UpstreamClient::Stage::connecting;
  auto opened = co_await client_.open(to, &stage);
  if (!opened) learn(to, opened.error(), stage, clock_.now() - begun);
  co_return std::move(opened);
}

/// What an error says of the server.
void Origin::learn(const Upstream& to, const error_code& error, UpstreamClient::Stage stage,
                   Duration waited) {
  const auto server = OriginServer::of(to);
  if (is_cancelled(error)) {
    if (waited >= options_.suspicious_after) memory_.breaker.suspect(server, to.preferred);
    return;
  }
  if (error == Errc::unsupported || is_own_trouble(error)) return;
  if (stage == UpstreamClient::Stage::handshake && error == Errc::unavailable) {
    return memory_.breaker.reached(server);  // its chain was refused
  }
  const bool connected = stage == UpstreamClient::Stage::asking;
  const auto trouble = !connected                 ? Trouble::unreachable
                       : error == Errc::timed_out ? Trouble::silent
                                                  : Trouble::failing;
  memory_.breaker.failed(server, trouble, error.message(), to.preferred);
}

awaitable<bool> Origin::challenge_can_be_met(Upstream to, http::Response response) {
  if (response.status != 401) co_return true;
  const auto service = token_service_of(response);
  if (!service) co_return true;
  const auto& realm = service->realm;
  const OriginServer server{.host = realm.host, .port = realm.port, .tls = realm.scheme == "https"};
  if (server == OriginServer::of(to)) co_return true;  // it has just answered
  auto target = token_target(*service);
  if (target.size() > kMaxTokenTarget) target.resize(std::min(target.find('?'), kMaxTokenTarget));
  co_return !co_await memory_.breaker.is_found_down(server, std::move(target),
                                                    options_.token_service);
}

std::string Origin::outage(const Upstream& to) const {
  const auto outage = memory_.breaker.outage(OriginServer::of(to));
  return outage ? outage->to_string() : std::string();
}

awaitable<Result<Exchange>> Origin::read(Upstream to, http::Request request, Asking how) {
  request.headers.set("Accept-Encoding", "identity");
  CO_TRY(auto first, co_await ask(to, request, how));
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
