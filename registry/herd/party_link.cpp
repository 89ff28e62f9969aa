// SPDX-License-Identifier: Apache-2.0
// What comes from a parent.
#include "registry/herd/herds.hpp"
#include "registry/herd/party.hpp"
#include "registry/peer_request.hpp"
#include "userspace/base/log.hpp"

namespace hagring::herd {
namespace {

/// Without an answer for so long a parent has been left as silent (MemberOptions::first_word).
constexpr auto kUnreachable = std::chrono::milliseconds(400);

LostWhy why_of(const error_code& error) {
  if (error == Errc::bad_message || error == Errc::too_large) return LostWhy::lied;
  return error == Errc::not_found ? LostWhy::refused : LostWhy::closed;
}

}  // namespace

awaitable<void> Party::follow(std::shared_ptr<Activity> activity, Subscribe what) {
  Result<void> done(Errc::unavailable);
  const auto peer = co_await herds_.whereabouts(what.parent);
  if (peer && !activity->stopped && !parts_.conduct.may_ask(peer->key())) {
    done = Errc::not_found;
  } else if (peer && !activity->stopped) {
    auto request =
        registry::peer_read(*peer, "GET", request_.repository + "/blobs/" + id_.digest.to_string(),
                            request_.registry, {});
    request.headers.add(std::string(kStripeField),
                        to_string({.stripe = what.stripe, .next = what.next, .zone = id_.zone}));
    const auto begun = now();
    auto exchange = co_await parts_.fetcher.ask(*peer, std::move(request));
    // It was left before its time to connect was over: others needn't find that out again.
    if (!exchange && activity->stopped && now() - begun >= kUnreachable) {
      parts_.conduct.out_of_reach(peer->key(), "doesn't answer to a member of its herd");
    }
    if (exchange) {
      done = co_await read_stripe(activity, what, *exchange);
    } else {
      done = exchange.error();
    }
  }
  const auto shared = spool();
  // What went wrong here, on this node's disk, isn't the parent's doing.
  if (activity->stopped || done || is_cancelled(done.error()) || (shared && shared->failure())) {
    co_return;
  }
  const auto why = why_of(done.error());
  log::info("herd", "{}: parent {} of stripe {} is lost: {}", id_.digest.to_string(),
            peer ? peer->name : "(unknown)", what.stripe, done.error().message());
  if (peer && why == LostWhy::lied) parts_.conduct.out_of_reach(peer->key(), "sent false pieces");
  apply(member_.parent_lost(what.stripe, what.parent, why, now()));
}

awaitable<Result<void>> Party::read_stripe(std::shared_ptr<Activity> activity, Subscribe what,
                                           registry::Exchange& exchange) {
  const auto& response = exchange.response;
  if (response.status != 200 || !response.headers.contains(kStripeField)) co_return Errc::not_found;
  auto next = what.next;
  DataFrame frame;
  while (true) {
    CO_CHECK(co_await read_frame(exchange.connection(), frame));
    if (activity->stopped || co_await asked_to_stop()) co_return Errc::cancelled;
    if (frame.kind == FrameKind::end) {
      const auto shared = spool();
      const bool complete = shared && next >= pieces_in(what.stripe, shared->pieces());
      co_return complete ? Result<void>() : Result<void>(Errc::truncated);
    }
    CO_CHECK(co_await take_frame(what, frame, next));
    if (activity->stopped) co_return Errc::cancelled;
  }
}

awaitable<Result<void>> Party::take_frame(const Subscribe& what, const DataFrame& frame,
                                          std::uint64_t& next) {
  switch (frame.kind) {
    case FrameKind::about:
      co_return take_about(frame);
    case FrameKind::batch:
      co_return co_await take_batch(what, frame);
    case FrameKind::piece:
      co_return take_piece(what, frame, next);
    case FrameKind::beat: {
      CO_TRY(const auto has, number_of(frame.payload));
      member_.beat(what.stripe, what.parent, has, now());
      co_return Result<void>();
    }
    case FrameKind::end:
      break;
  }
  co_return Errc::bad_message;
}

/// Before any of its bytes can be passed on it is known whether they are private.
Result<void> Party::take_about(const DataFrame& frame) {
  TRY(const auto about, decode_about(frame.payload));
  const auto expected = parts_.sizes ? parts_.sizes->of(id_.digest) : std::nullopt;
  if (expected && *expected != about.size) return Errc::bad_message;
  if (about.private_mark && parts_.privacy != nullptr) {
    parts_.privacy->add_field(id_.digest, *about.private_mark);
  }
  const bool had = spool() != nullptr;
  if (!adopt(about.size)) {
    if (had) return Errc::bad_message;
    // Its parents are all right: it isn't they who are lost.
    leave_herd();
    return Errc::cancelled;
  }
  if (state() != State::streaming) become(State::streaming);
  return {};
}

awaitable<Result<void>> Party::take_batch(const Subscribe& what, const DataFrame& frame) {
  CO_TRY(const auto batch, decode_batch(frame.payload));
  if (ledger_.take(batch) != Verdict::good) co_return Errc::bad_message;
  member_.heard(what.stripe, what.parent, now());
  co_await learn_head(batch.head);
  note_suspects();
  co_return Result<void>();
}

awaitable<void> Party::learn_head(NodeId head) {
  if (head == herds_.self()) co_return;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [node, key] : heads_) {
      if (node == head) co_return;
    }
  }
  const auto peer = co_await herds_.whereabouts(head);
  const std::lock_guard lock(mutex_);
  heads_.emplace_back(head, peer ? peer->key() : "a node that isn't known");
}

Result<void> Party::take_piece(const Subscribe& what, const DataFrame& frame, std::uint64_t& next) {
  TRY(const auto index, number_of(frame.payload));
  const auto shared = spool();
  if (!shared || index != next) return Errc::bad_message;
  const auto bytes = ByteView(frame.payload).subspan(sizeof(std::uint64_t));
  const auto piece = piece_number(what.stripe, index);
  if (piece >= shared->pieces() || bytes.size() != shared->length_of(piece)) {
    return Errc::bad_message;
  }
  if (ledger_.check(what.stripe, index, hash_piece(bytes)) != Verdict::good) {
    return Errc::bad_message;
  }
  ++next;
  herds_.counters().bytes_in.fetch_add(bytes.size(), std::memory_order_relaxed);
  herds_.upload().streamed(bytes.size(), now());
  if (const auto* batch = ledger_.covering(what.stripe, index)) {
    shared->cover(what.stripe, index, 1, encoded(*batch));
  }
  CHECK_OK(shared->put(piece, bytes));
  if (shared->whole()) note_suspects();
  report_arrivals(*shared);
  return {};
}

}  // namespace hagring::herd
