// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/manifest.hpp"
#include "registry/permission.hpp"
#include "registry/presumption.hpp"
#include "registry/tag_candidates.hpp"
#include "userspace/base/pending.hpp"

namespace hagring::registry {
namespace {

bool is_anonymous(const Inquiry& inquiry) {
  return !inquiry.request.headers.contains("Authorization");
}

/// Whether others may answer in the origin's place; it has said no to the client, or nothing.
awaitable<bool> others_may_answer(Inquiry& inquiry, const Result<Exchange>& exchange) {
  if (!exchange) co_return true;
  const auto& response = exchange->response;
  if (is_trouble(response.status)) co_return true;
  if (!is_no(response.status)) co_return false;
  // Asked for credentials, a client that has some comes again with them, if it can get them.
  auto& origin = inquiry.parts.origin;
  if (response.status == 401 && is_anonymous(inquiry) &&
      co_await origin.challenge_can_be_met(inquiry.origin, response)) {
    co_return false;
  }
  co_return inquiry.rule.authorize != Authorize::strict;
}

/// Answers with the manifest that a tag points to, from this node's store or from peers.
awaitable<Result<Found>> answer_known(Inquiry& inquiry, Digest digest) {
  auto blob = co_await inquiry.parts.store.open(digest);
  if (!blob) co_return co_await answer_from_peers(inquiry, digest);
  CO_TRY(const auto permission, co_await may_have(inquiry, digest));
  if (permission == Permission::withheld) co_return Found::no;
  const auto answered = co_await answer_with(inquiry, digest, *std::move(blob));
  if (answered) co_return Found::yes;
  if (inquiry.answer.begun() || is_cancelled(answered.error())) co_return answered.error();
  co_return co_await answer_from_peers(inquiry, digest);
}

/// What counts of others' answers.
enum class Which {
  all,        ///< private content by the origin's yes
  free_only,  ///< none that is known or presumed to be private
};

/// Answers with what this node, and then its peers, say that the tag points to, unless the origin,
/// if it is still being asked, answers before.
awaitable<Result<Found>> answer_without_origin(Inquiry& inquiry, TagCandidates& candidates,
                                               Which which,
                                               const Pending<Exchange>* origin = nullptr) {
  for (const auto place : {TagCandidates::Place::here, TagCandidates::Place::peers}) {
    CO_TRY(const auto digest, co_await candidates.at(place));
    if (origin != nullptr && origin->done()) co_return Found::no;
    if (!digest) continue;
    if (which == Which::free_only) {
      // While the origin may still answer nothing is waited for.
      const auto limit = origin == nullptr ? kInquiryWait : Duration(0);
      CO_TRY(const bool free, co_await is_free(inquiry, *digest, limit));
      if (!free) continue;
    }
    CO_TRY(const auto answered, co_await answer_known(inquiry, *digest));
    if (answered == Found::yes) co_return Found::yes;
  }
  co_return Found::no;
}

/// Relays the origin's answer to a HEAD, or, for a GET, gets one that has a body.
awaitable<Result<void>> relay(Inquiry& inquiry, Exchange exchange) {
  inquiry.pull.source = PullSource::origin;
  if (inquiry.route.head) co_return co_await inquiry.answer.relay(exchange);
  auto whole = co_await inquiry.parts.origin.ask(inquiry.origin, forwarded(inquiry.request));
  if (!whole) co_return co_await refuse_unreachable(inquiry, whole.error());
  note_answer(inquiry, std::nullopt, *whole);
  co_return co_await inquiry.answer.relay(*whole);
}

/// The origin's answer to the HEAD, or why there is none, is the client's.
awaitable<Result<void>> answer_from_origin(Inquiry& inquiry, Result<Exchange> exchange) {
  if (!exchange || (is_trouble(exchange->response.status) && asks_in_place_of_origin(inquiry))) {
    co_return co_await refuse_for_origin(inquiry, exchange);
  }
  inquiry.origin_failure = {};
  const auto& response = exchange->response;
  const auto digest = Digest::parse(response.headers.get("Docker-Content-Digest").value_or(""));
  note_answer(inquiry, digest, *exchange);
  if (!inquiry.route.head && response.status == 200 && digest) {
    co_return co_await read_by_digest(inquiry, *digest);
  }
  co_return co_await relay(inquiry, *std::move(exchange));
}

http::Request head_of(const Inquiry& inquiry) {
  auto head = forwarded(inquiry.request);
  head.method = "HEAD";
  return head;
}

/// Asks the origin what the tag points to, with a bound on all of it, connecting included: a
/// black-holed origin must leave time to ask peers.
awaitable<Result<Exchange>> ask_head(Inquiry& inquiry, Asking how = {}) {
  how.patience = inquiry.parts.options.tag_patience;
  co_return co_await inquiry.parts.origin.ask(inquiry.origin, head_of(inquiry), how);
}

/// The origin, asked while the search for peers goes on.
awaitable<Result<void>> read_origin_first(Inquiry& inquiry) {
  auto& parts = inquiry.parts;
  TagCandidates candidates(inquiry);
  Pending<Exchange> head(co_await asio::this_coro::executor, parts.clock,
                         ask_head(inquiry, {.others = true}));
  Result<Found> early = Found::no;
  if (!co_await head.wait(parts.options.origin_patience)) {
    inquiry.pull.note = "the origin is slow";
    early = co_await answer_without_origin(inquiry, candidates, Which::free_only, &head);
  }
  if (!early || *early == Found::yes) {
    co_await head.give_up();
    if (!early) co_return early.error();
    co_return Result<void>();
  }
  auto exchange = co_await head.result();
  if (!exchange && is_cancelled(exchange.error())) co_return exchange.error();
  inquiry.pull.note = exchange ? fmt::format("the origin said {}", exchange->response.status)
                               : "the origin: " + exchange.error().message();
  if (exchange) note_answer(inquiry, std::nullopt, *exchange);
  if (co_await others_may_answer(inquiry, exchange)) {
    if (!exchange) inquiry.origin_failure = exchange.error();
    const bool refused = exchange && is_no(exchange->response.status);
    CO_TRY(const auto answered, co_await answer_without_origin(
                                    inquiry, candidates, refused ? Which::free_only : Which::all));
    if (answered == Found::yes) co_return Result<void>();
  }
  candidates.stop();
  inquiry.pull.note.clear();
  const bool spared = !exchange && was_spared(exchange.error());
  if (spared && !asks_in_place_of_origin(inquiry)) exchange = co_await ask_head(inquiry);
  co_return co_await answer_from_origin(inquiry, std::move(exchange));
}

awaitable<Result<void>> read_peers_first(Inquiry& inquiry) {
  TagCandidates candidates(inquiry);
  CO_TRY(const auto answered, co_await answer_without_origin(inquiry, candidates, Which::all));
  if (answered == Found::yes) co_return Result<void>();
  if (inquiry.rule.tags == TagOrder::peers_only) {
    if (!inquiry.withheld.empty()) co_return co_await refuse_withheld(inquiry, Errc::unavailable);
    co_return co_await inquiry.answer.refuse(
        404, "MANIFEST_UNKNOWN",
        "hagring: neither this node nor a peer knows the tag, and a rule says tags=peers-only");
  }
  const auto& failure = inquiry.origin_failure;
  const bool known = failure && !was_spared(failure);
  auto exchange = known ? Result<Exchange>(failure) : co_await ask_head(inquiry);
  co_return co_await answer_from_origin(inquiry, std::move(exchange));
}

}  // namespace

awaitable<Result<void>> read_by_tag(Inquiry& inquiry) {
  if (inquiry.rule.tags == TagOrder::origin_first) co_return co_await read_origin_first(inquiry);
  co_return co_await read_peers_first(inquiry);
}

}  // namespace hagring::registry
