// SPDX-License-Identifier: Apache-2.0
#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/origin_answer.hpp"

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

awaitable<Result<Exchange>> ask_origin(Inquiry& inquiry, Asking how = {}) {
  co_return co_await inquiry.parts.origin.read(inquiry.origin, forwarded(inquiry.request), how);
}

awaitable<Result<void>> relay_origin(Inquiry& inquiry, const Digest& digest,
                                     Result<Exchange> exchange) {
  if (!exchange) co_return co_await refuse_unreachable(inquiry, exchange.error());
  co_return co_await answer_from_origin(inquiry, digest, *std::move(exchange));
}

awaitable<Result<void>> read_from_others(Inquiry& inquiry, const Digest& digest) {
  const bool origin_first = wants_part(inquiry) || inquiry.parts.conduct.origin_first(digest);
  if (!origin_first) {
    CO_TRY(const auto answered, co_await answer_from_peers(inquiry, digest));
    if (answered == Found::yes) co_return Result<void>();
    co_return co_await relay_origin(inquiry, digest, co_await ask_origin(inquiry));
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

}  // namespace

awaitable<Result<void>> read_by_digest(Inquiry& inquiry, Digest digest) {
  auto blob = co_await inquiry.parts.store.open(digest);
  if (blob) {
    const auto answered = co_await answer_with(inquiry, digest, *std::move(blob));
    if (answered || inquiry.answer.begun()) co_return answered;
  }
  CO_CHECK(co_await read_from_others(inquiry, digest));
  const auto& pull = inquiry.pull;
  const bool from_elsewhere = pull.source == PullSource::peer || pull.source == PullSource::origin;
  const bool whole = pull.status == 200 || (pull.status == 206 && !wants_part(inquiry));
  if (!inquiry.route.head && from_elsewhere && whole && pull.complete && inquiry.parts.hooks.seen) {
    inquiry.parts.hooks.seen(inquiry.registry, inquiry.route.repository, digest, pull.bytes);
  }
  co_return Result<void>();
}

}  // namespace hagring::registry
