// SPDX-License-Identifier: Apache-2.0
#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/herd/seat.hpp"
#include "registry/origin_answer.hpp"
#include "registry/permission.hpp"
#include "registry/rate_limit.hpp"

namespace hagring::registry {
namespace {

/// Whether the client wants less than the whole, or the whole in more than one answer.
bool wants_part(const Inquiry& inquiry) {
  if (inquiry.route.head || inquiry.route.kind == Route::Kind::manifest) return false;
  const auto field = inquiry.request.headers.get("Range");
  const auto range = field ? ByteRange::parse(*field) : std::nullopt;
  return range && (range->first != 0U || range->last);
}

/// Whether an origin's answer is one that peers can't better.
bool is_settled(unsigned status) { return status / 100 == 2 || status / 100 == 3 || status == 416; }

/// As a last resort, or, if there are others to ask, unless it is known to be down.
awaitable<Result<Exchange>> ask_origin(Inquiry& inquiry, Asking how = {}) {
  const auto& failure = inquiry.origin_failure;
  if (failure && (!was_spared(failure) || asks_in_place_of_origin(inquiry))) co_return failure;
  co_return co_await inquiry.parts.origin.read(inquiry.origin, forwarded(inquiry.request), how);
}

/// What an origin's answer, or none, means for the herd that waits for it.
void tell_herd(herd::Seat* seat, const Result<Exchange>& exchange, WallTime now) {
  if (seat == nullptr) return;
  const auto status = exchange ? exchange->response.status : 0U;
  if (status / 100 == 2) return;
  if (status == 429) return seat->refused_for(limit_notice(exchange->response, now)->lasts);
  seat->refused(is_no(status));
}

awaitable<Result<void>> relay_origin(Inquiry& inquiry, const Digest& digest,
                                     Result<Exchange> exchange, herd::Seat* seat = nullptr) {
  tell_herd(seat, exchange, inquiry.parts.clock.wall());
  if (!exchange || (is_trouble(exchange->response.status) && asks_in_place_of_origin(inquiry))) {
    co_return co_await refuse_for_origin(inquiry, exchange);
  }
  note_answer(inquiry, digest, *exchange);
  const bool content = exchange->response.status == 200;
  const auto answered = co_await answer_from_origin(inquiry, digest, *std::move(exchange), seat);
  // What the herd gave while this client was to fetch for it can have been false.
  if (seat != nullptr && answered.error() == Errc::bad_message) seat->corrupt();
  if (!answered) co_return answered.error();
  if (content && inquiry.pull.verified)
    note_yes(inquiry, digest, Proof::bytes);  // wherever it has come from
  if (seat != nullptr && inquiry.pull.verified) seat->finished();
  co_return Result<void>();
}

/// Where a rule keeps the origin out of it.
awaitable<Result<void>> refuse_absent(Inquiry& inquiry) {
  if (!inquiry.withheld.empty()) co_return co_await refuse_withheld(inquiry, Errc::unavailable);
  const bool manifest = inquiry.route.kind == Route::Kind::manifest;
  co_return co_await inquiry.answer.refuse(
      404, manifest ? "MANIFEST_UNKNOWN" : "BLOB_UNKNOWN",
      "hagring: neither this node nor a peer has it, and a rule says tags=peers-only");
}

awaitable<Result<void>> read_from_others(Inquiry& inquiry, const Digest& digest) {
  const bool peers_only = inquiry.rule.tags == TagOrder::peers_only;
  const bool origin_first = wants_part(inquiry) || inquiry.parts.conduct.origin_first(digest);
  if (peers_only || !origin_first) {
    const bool joins = !peers_only && herd::may_take_seat(inquiry);
    const bool herd_first = joins && herd::has_part(inquiry, digest);
    if (!herd_first) {
      inquiry.joins = joins;
      CO_TRY(const auto answered, co_await answer_from_peers(inquiry, digest));
      inquiry.joins = false;
      if (answered == Found::yes) co_return Result<void>();
    }
    if (peers_only) co_return co_await refuse_absent(inquiry);
    const auto seat = co_await herd::take_seat(inquiry, digest);
    if (seat) {
      CO_TRY(const auto shared, co_await herd::answer_from_herd(inquiry, digest, *seat));
      if (shared == Found::yes) co_return Result<void>();
    }
    if (inquiry.sent_to_herd || herd_first) {
      CO_TRY(const auto sent, co_await answer_from_peers(inquiry, digest));
      if (sent == Found::yes) co_return Result<void>();
    }
    co_return co_await relay_origin(inquiry, digest, co_await ask_origin(inquiry), seat.get());
  }
  auto exchange = co_await ask_origin(inquiry, {.others = true});
  if (!exchange && is_cancelled(exchange.error())) co_return exchange.error();
  if (!exchange || !is_settled(exchange->response.status)) {
    CO_TRY(const auto answered, co_await answer_from_peers(inquiry, digest));
    if (answered == Found::yes) co_return Result<void>();
  }
  if (!exchange && was_spared(exchange.error())) exchange = co_await ask_origin(inquiry);
  co_return co_await relay_origin(inquiry, digest, std::move(exchange));
}

awaitable<Result<void>> read_from_elsewhere(Inquiry& inquiry, const Digest& digest) {
  CO_CHECK(co_await read_from_others(inquiry, digest));
  const auto& pull = inquiry.pull;
  const bool from_elsewhere = pull.source == PullSource::peer || pull.source == PullSource::herd ||
                              pull.source == PullSource::origin;
  const bool whole = pull.status == 200 || (pull.status == 206 && !wants_part(inquiry));
  if (!inquiry.route.head && from_elsewhere && whole && pull.complete && inquiry.parts.hooks.seen) {
    inquiry.parts.hooks.seen(inquiry.registry, inquiry.route.repository, digest, pull.bytes);
  }
  co_return Result<void>();
}

}  // namespace

awaitable<Result<void>> read_by_digest(Inquiry& inquiry, Digest digest) {
  auto blob = co_await inquiry.parts.store.open(digest);
  if (blob) {
    CO_TRY(const auto permission, co_await may_have(inquiry, digest));
    if (permission == Permission::withheld && inquiry.rule.tags == TagOrder::peers_only) {
      co_return co_await refuse_absent(inquiry);
    }
    if (permission == Permission::withheld)
      co_return co_await relay_origin(inquiry, digest, co_await ask_origin(inquiry));
    const auto answered = co_await answer_with(inquiry, digest, *std::move(blob));
    if (answered || inquiry.answer.begun()) co_return answered;
  }
  co_return co_await read_from_elsewhere(inquiry, digest);
}

}  // namespace hagring::registry
