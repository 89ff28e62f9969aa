// SPDX-License-Identifier: Apache-2.0
#include "registry/anonymous_inquiry.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "registry/challenge.hpp"
#include "registry/reference.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

constexpr Duration kLimit = std::chrono::seconds(20);
/// Docker Hub's answers are of 5 KiB.
constexpr std::size_t kMaxDocument = 64UL * 1024;
constexpr std::size_t kMaxToken = 16UL * 1024;
/// It isn't urgent.
constexpr Asking kAsking{.patience = std::chrono::seconds(10), .others = true};

/// Whether an answer means that who has asked isn't let in. To whom may not know of a repository it
/// often isn't there (404).
bool is_no(unsigned status) { return status == 401 || status == 403 || status == 404; }

http::Request token_request(TokenService service, const Reference& repository) {
  if (service.scopes.empty()) {
    service.scopes = {fmt::format("repository:{}:pull", repository.repository)};
  }
  http::Request request{.target = token_target(service)};
  request.headers.add("Host", service.realm.authority());
  request.headers.add("Accept", "application/json");
  return request;
}

awaitable<Result<std::string>> read_document(Exchange exchange) {
  std::string document;
  Bytes buffer(8192);
  while (true) {
    CO_TRY(const auto size, co_await exchange.connection().read_body(buffer));
    if (size == 0) co_return document;
    document += as_text(ByteView(buffer).first(size));
    if (document.size() > kMaxDocument) co_return Errc::too_large;
  }
}

/// Asks for a token that anybody is given. Errors: Errc::not_found when nobody is given one.
awaitable<Result<std::string>> anonymous_token(Origin& origin, TokenService service,
                                               Reference repository, bool private_line) {
  const bool tls = service.realm.scheme == "https";
  // Threat: who can change what goes over a plain connection could name a service of their own.
  if (private_line && !tls) co_return Errc::unsupported;
  const Upstream to{
      .host = service.realm.host, .port = service.realm.port, .tls = tls, .preferred = {}};
  CO_TRY(auto exchange, co_await origin.ask(to, token_request(service, repository), kAsking));
  if (is_no(exchange.response.status)) co_return Errc::not_found;
  if (exchange.response.status != 200) co_return Errc::unavailable;
  CO_TRY(const auto document, co_await read_document(std::move(exchange)));
  auto token = token_in(document);
  if (!token) co_return Errc::bad_message;
  co_return *std::move(token);
}

/// Errors leave it open.
awaitable<Result<Audience>> ask(Origin& origin, Upstream to, http::Request request,
                                Reference repository) {
  for (const auto* secret : {"Authorization", "Cookie"}) request.headers.erase(secret);
  CO_TRY(const auto first, co_await origin.ask(to, request, kAsking));
  const auto status = first.response.status;
  if (status == 200) co_return Audience::everybody;
  if (!is_no(status)) co_return Errc::unavailable;
  auto service = token_service_of(first.response);
  if (status != 401 || !service) co_return Audience::some;
  const auto token =
      co_await anonymous_token(origin, *std::move(service), std::move(repository), to.tls);
  if (!token && token.error() == Errc::not_found) co_return Audience::some;
  if (!token) co_return token.error();
  request.headers.set("Authorization", "Bearer " + *token);
  CO_TRY(const auto second, co_await origin.ask(to, request, kAsking));
  if (second.response.status == 200) co_return Audience::everybody;
  if (is_no(second.response.status)) co_return Audience::some;
  co_return Errc::unavailable;
}

}  // namespace

std::optional<std::string> token_in(std::string_view document) {
  const auto json = nlohmann::json::parse(document, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  for (const auto* name : {"token", "access_token"}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) continue;
    auto token = found->get<std::string>();
    if (!token.empty() && token.size() <= kMaxToken && http::is_target(token)) return token;
  }
  return std::nullopt;
}

awaitable<void> learn_audience(Clock& clock, Origin& origin, Privacy& privacy, Upstream to,
                               http::Request request, std::string repository) {
  const auto reference = Reference::parse(repository);
  if (!reference) co_return;
  const auto audience = co_await with_deadline(
      clock, kLimit, ask(origin, std::move(to), std::move(request), *reference));
  if (audience) {
    log::info("privacy", "{} is {}", repository, to_string(*audience));
    privacy.learn(repository, *audience);
  } else {
    log::info("privacy", "whether {} is public is not known yet: {}", repository,
              audience.error().message());
  }
}

}  // namespace hagring::registry
