// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/manifest.hpp"

namespace hagring::registry {
namespace {

/// Whether the origin's answer leaves open what the tag points to: it doesn't know the name, limits
/// our rate, or is in trouble. Its yes, and its no to this client (401, 403), are final.
bool leaves_open(unsigned status) { return status == 404 || status == 429 || status >= 500; }

std::string name_of(const Inquiry& inquiry) {
  return fmt::format("{}/{}:{}", inquiry.registry, inquiry.route.repository,
                     inquiry.route.tag.value_or(""));
}

/// Answers a HEAD, or a GET, with the manifest that a tag points to here.
awaitable<Result<Found>> answer_from_store(Inquiry& inquiry) {
  const auto descriptor = co_await inquiry.parts.store.resolve(name_of(inquiry));
  if (!descriptor) co_return Found::no;
  auto blob = co_await inquiry.parts.store.open(descriptor->digest);
  if (!blob) co_return Found::no;
  CO_CHECK(co_await answer_with(inquiry, descriptor->digest, *std::move(blob)));
  co_return Found::yes;
}

/// The same with what a peer's tag points to.
awaitable<Result<Found>> answer_from_peers_tag(Inquiry& inquiry) {
  const auto digest = co_await inquiry.parts.fetcher.resolve(
      inquiry.registry, inquiry.route.repository, inquiry.route.tag.value_or(""),
      std::string(inquiry.request.headers.get("Accept").value_or("")));
  if (!digest) co_return is_cancelled(digest.error()) ? Result<Found>(digest.error()) : Found::no;
  auto blob = co_await inquiry.parts.store.open(*digest);
  if (blob) {
    CO_CHECK(co_await answer_with(inquiry, *digest, *std::move(blob)));
    co_return Found::yes;
  }
  co_return co_await answer_from_peers(inquiry, *digest);
}

awaitable<Result<Found>> answer_without_origin(Inquiry& inquiry) {
  CO_TRY(const auto stored, co_await answer_from_store(inquiry));
  if (stored == Found::yes) co_return Found::yes;
  co_return co_await answer_from_peers_tag(inquiry);
}

/// Relays the origin's answer to a HEAD, or, for a GET, gets one that has a body.
awaitable<Result<void>> answer_from_origin(Inquiry& inquiry, Exchange exchange) {
  inquiry.pull.source = PullSource::origin;
  if (inquiry.route.head) co_return co_await inquiry.answer.relay(exchange);
  auto request = forwarded(inquiry.request);
  auto whole = co_await inquiry.parts.origin.ask(inquiry.origin, std::move(request));
  if (!whole) co_return co_await refuse_unreachable(inquiry, whole.error());
  co_return co_await inquiry.answer.relay(*whole);
}

}  // namespace

awaitable<Result<void>> read_by_tag(Inquiry& inquiry) {
  auto head = forwarded(inquiry.request);
  head.method = "HEAD";
  // All of it, connecting included: a black-holed origin must leave time to ask peers.
  auto& parts = inquiry.parts;
  auto exchange = co_await parts.origin.ask(
      inquiry.origin, head, {.patience = parts.options.tag_patience, .others = true});
  if (!exchange && is_cancelled(exchange.error())) co_return exchange.error();
  if (!exchange || leaves_open(exchange->response.status) ||
      !parts.origin.challenge_can_be_met(exchange->response)) {
    CO_TRY(const auto answered, co_await answer_without_origin(inquiry));
    if (answered == Found::yes) {
      inquiry.pull.note = exchange ? fmt::format("the origin said {}", exchange->response.status)
                                   : "the origin: " + exchange.error().message();
      co_return Result<void>();
    }
    if (!exchange && was_spared(exchange.error())) {
      exchange = co_await parts.origin.ask(inquiry.origin, std::move(head),
                                           {.patience = parts.options.tag_patience});
    }
    if (!exchange) co_return co_await refuse_unreachable(inquiry, exchange.error());
  }
  const auto& response = exchange->response;
  const auto digest = Digest::parse(response.headers.get("Docker-Content-Digest").value_or(""));
  if (!inquiry.route.head && response.status == 200 && digest) {
    co_return co_await read_by_digest(inquiry, *digest);
  }
  co_return co_await answer_from_origin(inquiry, *std::move(exchange));
}

}  // namespace hagring::registry
