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
/// For an order that names who has signed a piece; less than MemberOptions::silent.
constexpr auto kUnknownHead = std::chrono::milliseconds(400);

LostWhy why_of(const error_code& error) {
  if (error == Errc::bad_message || error == Errc::too_large) return LostWhy::lied;
  return error == Errc::not_found ? LostWhy::refused : LostWhy::closed;
}

}  // namespace

awaitable<void> Party::follow(std::shared_ptr<Activity> activity, Subscribe what) {
  Result<void> done(Errc::unavailable);
  const auto peer = co_await herds_.whereabouts(what.parent);
  if (peer && !activity->stopped && parts_.conduct.banned(peer->key())) {
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
  if (peer && activity->lied) parts_.conduct.lied(peer->key(), "sent false pieces");
  // Of what it makes no sense to ask for once more, as with another version.
  if (peer && !activity->lied && why == LostWhy::lied) {
    parts_.conduct.out_of_reach(peer->key(), "doesn't keep to the protocol of herds");
  }
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
    CO_CHECK(co_await take_frame(activity, what, frame, next));
    if (activity->stopped) co_return Errc::cancelled;
  }
}

awaitable<Result<void>> Party::take_frame(std::shared_ptr<Activity> activity, const Subscribe& what,
                                          const DataFrame& frame, std::uint64_t& next) {
  switch (frame.kind) {
    case FrameKind::about:
      co_return take_about(frame);
    case FrameKind::batch:
      co_return co_await take_batch(activity, what, frame);
    case FrameKind::piece:
      co_return co_await take_piece(activity, what, frame, next);
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
    // Whichever of them has it wrong.
    if (had) return Errc::not_found;
    // Its parents are all right: it isn't they who are lost.
    leave_herd();
    return Errc::cancelled;
  }
  if (state() != State::streaming) become(State::streaming);
  return {};
}

/// What the ledger says against a parent. That this node doesn't know the head, or can't remember
/// more of them, isn't the parent's doing.
Errc Party::refuse(Activity& activity, Verdict verdict) {
  if (verdict == Verdict::over_limit || verdict == Verdict::unknown_head) return Errc::not_found;
  activity.lied = verdict == Verdict::wrong || verdict == Verdict::bad_signature;
  return Errc::bad_message;
}

awaitable<Result<void>> Party::take_batch(std::shared_ptr<Activity> activity, const Subscribe& what,
                                          const DataFrame& frame) {
  CO_TRY(const auto batch, decode_batch(frame.payload));
  if (const auto verdict = ledger_.take(batch); verdict != Verdict::good) {
    co_return refuse(*activity, verdict);
  }
  member_.heard(what.stripe, what.parent, now());
  co_await learn_head(batch.head);
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

/// A head's first pieces may come before the order that names it: they wait, and what follows them
/// with them, for less than a parent may be silent.
awaitable<Verdict> Party::check_piece(std::shared_ptr<Activity> activity, Stripe stripe,
                                      std::uint64_t index, PieceHash hash) {
  auto verdict = ledger_.check(stripe, index, hash);
  const auto end = now() + kUnknownHead;
  while (verdict == Verdict::unknown_head && now() < end) {
    const auto named = member_.heads().size();
    co_await bell_.wait(
        end, [&] { return ended_ || activity->stopped || member_.heads().size() != named; });
    if (ended_ || activity->stopped || co_await asked_to_stop()) break;
    verdict = ledger_.check(stripe, index, hash);
  }
  co_return verdict;
}

awaitable<Result<void>> Party::take_piece(std::shared_ptr<Activity> activity, const Subscribe& what,
                                          const DataFrame& frame, std::uint64_t& next) {
  CO_TRY(const auto index, number_of(frame.payload));
  const auto shared = spool();
  if (!shared || index != next) co_return Errc::bad_message;
  const auto bytes = ByteView(frame.payload).subspan(sizeof(std::uint64_t));
  const auto piece = piece_number(what.stripe, index);
  if (piece >= shared->pieces() || bytes.size() != shared->length_of(piece)) {
    co_return Errc::bad_message;
  }
  const auto hash = hash_piece(bytes);
  auto verdict = ledger_.check(what.stripe, index, hash);
  if (verdict == Verdict::unknown_head) {
    // Its silence from now on is this node's waiting.
    member_.heard(what.stripe, what.parent, now());
    verdict = co_await check_piece(activity, what.stripe, index, hash);
    if (activity->stopped || co_await asked_to_stop()) co_return Errc::cancelled;
  }
  if (verdict != Verdict::good) co_return refuse(*activity, verdict);
  ++next;
  const auto& link = links_[what.stripe];
  if (link && link->node == what.parent) end_former(what.stripe);
  herds_.counters().bytes_in.fetch_add(bytes.size(), std::memory_order_relaxed);
  herds_.upload().streamed(bytes.size(), now());
  if (const auto* batch = ledger_.covering(what.stripe, index)) {
    shared->cover(what.stripe, index, 1, encoded(*batch));
  }
  // Before a client can read it.
  if (ledger_.signer_count() != signer_count_) note_signers();
  CO_CHECK(shared->put(piece, bytes));
  report_arrivals(*shared);
  co_return Result<void>();
}

}  // namespace hagring::herd
