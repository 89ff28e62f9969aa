// SPDX-License-Identifier: Apache-2.0
#include "registry/anonymous_inquiry.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "registry/challenge.hpp"
#include "registry/permission.hpp"
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
/// It isn't urgent; but some wait for whether there is an answer at all (kInquiryWait).
constexpr Asking kFirst{.patience = std::chrono::seconds(6), .others = true};
constexpr Asking kAsking{.patience = std::chrono::seconds(10), .others = true};

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

/// A read that isn't redirected to where blobs are kept.
http::Request list_request(http::Request request, const Reference& repository) {
  request.method = "GET";
  request.target = fmt::format("/v2/{}/tags/list?n=1", repository.repository);
  return request;
}

/// Whether an answer to that names a tag. Of what they don't show some registries list none.
awaitable<bool> names_a_tag(Exchange exchange) {
  if (exchange.response.status != 200) co_return false;
  const auto document = co_await read_document(std::move(exchange));
  if (!document) co_return false;
  const auto json = nlohmann::json::parse(*document, nullptr, false);
  if (!json.is_object()) co_return false;
  const auto tags = json.find("tags");
  co_return tags != json.end() && tags->is_array() && !tags->empty();
}

/// What an answer's status says of the repository, or, where it says nothing (a blob that is
/// redirected, content that may have been deleted), that of one to a question for its tags. A no to
/// that is none: some show their tags to fewer than they let read.
awaitable<Result<unsigned>> settled(Origin& origin, Upstream to, http::Request request,
                                    Reference repository, unsigned status) {
  const bool blob = request.target.find("/blobs/") != std::string::npos;
  const bool redirected = blob && status / 100 == 3;
  if (!redirected && status != 404) co_return status;
  CO_TRY(auto list, co_await origin.ask(to, list_request(request, repository), kAsking));
  co_return co_await names_a_tag(std::move(list)) ? 200 : status;
}

/// Errors leave it open. `reached`: whether the registry could be asked at all; `missing`: whether
/// its no is that there is nothing.
awaitable<Result<Audience>> ask(Origin& origin, Upstream to, http::Request request,
                                Reference repository, bool& reached, bool& missing) {
  for (const auto* secret : {"Authorization", "Cookie"}) request.headers.erase(secret);
  const auto first = co_await origin.ask(to, request, kFirst);
  reached = first ? first->response.status < 500 : origin.outage(to).empty();
  if (!first) co_return first.error();
  CO_TRY(const auto status,
         co_await settled(origin, to, request, repository, first->response.status));
  if (status == 200) co_return Audience::everybody;
  if (!is_no(status)) co_return Errc::unavailable;
  missing = status == 404;
  auto service = token_service_of(first->response);
  if (status != 401 || !service) co_return Audience::some;
  const auto token = co_await anonymous_token(origin, *std::move(service), repository, to.tls);
  if (!token && token.error() == Errc::not_found) co_return Audience::some;
  if (!token) co_return token.error();
  request.headers.set("Authorization", "Bearer " + *token);
  CO_TRY(const auto answer, co_await origin.ask(to, request, kAsking));
  CO_TRY(const auto second,
         co_await settled(origin, to, request, repository, answer.response.status));
  if (second == 200) co_return Audience::everybody;
  missing = second == 404;
  if (is_no(second)) co_return Audience::some;
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
                               http::Request request, std::string repository, bool presumed) {
  const auto reference = Reference::parse(repository);
  bool reached = true;
  bool missing = false;
  Result<Audience> audience = Errc::bad_message;
  if (reference) {
    audience = co_await with_deadline(
        clock, kLimit,
        ask(origin, std::move(to), std::move(request), *reference, reached, missing));
  }
  if (presumed && missing) {
    privacy.note_refusal(repository);
    audience = Errc::not_found;
  }
  if (audience) {
    log::info("privacy", "{} is {}", repository, to_string(*audience));
    privacy.learn(repository, *audience);
  } else {
    log::info("privacy", "whether {} is public is not known yet: {}", repository,
              audience.error().message());
    privacy.end_inquiry(repository, !reached);
  }
}

}  // namespace hagring::registry
