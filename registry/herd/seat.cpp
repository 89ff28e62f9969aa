// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/seat.hpp"

#include "registry/forwarding.hpp"
#include "registry/herd/ahead.hpp"
#include "registry/herd/herds.hpp"
#include "registry/manifest.hpp"
#include "registry/permission.hpp"
#include "registry/stream_answer.hpp"

namespace hagring::herd {
namespace {

using registry::Inquiry;

/// The spool as a client's stream reads it.
class SpoolSource final : public registry::SharedSource {
 public:
  /// `given` counts what it has given.
  SpoolSource(std::shared_ptr<Party> party, std::shared_ptr<Spool> spool,
              std::shared_ptr<std::uint64_t> given, Duration stall)
      : party_(std::move(party)),
        spool_(std::move(spool)),
        given_(std::move(given)),
        stall_(stall) {}

  awaitable<Result<std::size_t>> read(std::uint64_t offset, MutableBytes into) override {
    const auto piece = offset / kPieceSize;
    const auto end = std::chrono::steady_clock::now() + stall_;
    const bool ready =
        co_await spool_->bell().wait(end, [&] { return spool_->has(piece) || spool_->failure(); });
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (spool_->has(piece)) {
      const auto got = spool_->read(offset, into);
      if (got) *given_ += *got;
      co_return got;
    }
    co_return ready ? Errc::unavailable : Errc::timed_out;
  }
  std::vector<std::string> contributors() const override { return party_->heads(); }
  bool origin_contributed() const override { return party_->origin_contributed(); }

 private:
  const std::shared_ptr<Party> party_;
  const std::shared_ptr<Spool> spool_;
  const std::shared_ptr<std::uint64_t> given_;
  const Duration stall_;
};

/// The request of this client for a part of the content, at its origin; owns what it needs, for it
/// may outlive the client.
Again again(const Inquiry& inquiry) {
  return std::make_shared<const registry::Continuation>(
      [&parts = inquiry.parts, to = inquiry.origin, request = registry::forwarded(inquiry.request)](
          registry::ByteRange range, bool others) -> awaitable<Result<registry::Exchange>> {
        auto part = request;
        part.headers.erase("If-Range");
        part.headers.set("Range", range.to_string());
        return parts.origin.read(to, std::move(part), {.others = others});
      });
}

Party::About about(const Inquiry& inquiry, const Digest& digest, Herds& herds) {
  const auto& options = herds.options();
  auto request = registry::content_request(inquiry, digest);
  const bool manifest = inquiry.route.kind == registry::Route::Kind::manifest;
  const bool small = manifest || (request.size && *request.size <= options.small);
  const auto share = herds.upload().share();
  const MemberFacts facts{.size = request.size.value_or(0),
                          .whole = small,
                          .may_fetch = true,
                          .slow = share.slow,
                          .units = share.units};
  return {.id = {.digest = digest, .zone = options.zone},
          .request = std::move(request),
          .facts = facts,
          .again = again(inquiry)};
}

/// Gets the finished content from the node that has it. nullopt: that node doesn't give it.
/// Found::no: the origin is to decide whether this client may have it.
awaitable<Result<std::optional<registry::Found>>> answer_from_holder(Inquiry& inquiry,
                                                                     const Digest& digest,
                                                                     Seat& seat) {
  const auto peer = seat.holder();
  if (!peer) co_return std::nullopt;
  auto stream =
      co_await inquiry.parts.fetcher.open_at(*peer, registry::content_request(inquiry, digest),
                                             registry::origin_continuation(inquiry, digest));
  if (!stream) {
    if (is_cancelled(stream.error())) co_return stream.error();
    co_return std::nullopt;
  }
  // Whether it is private has come with the head of the holder's answer.
  CO_TRY(const auto permission, co_await registry::may_have(inquiry, digest));
  if (permission == registry::Permission::withheld) co_return registry::Found::no;
  if (stream->size() > registry::kMaxManifestBytes &&
      inquiry.route.kind == registry::Route::Kind::manifest) {
    co_return std::nullopt;
  }
  const bool small = stream->size() <= inquiry.parts.herds->options().small;
  if (!small && inquiry.route.kind != registry::Route::Kind::manifest) {
    CO_TRY(const auto answered, co_await registry::answer_from_stream(inquiry, digest, *stream));
    co_return answered == registry::Found::yes ? std::optional(answered) : std::nullopt;
  }
  auto content = co_await registry::collect_verified(inquiry, digest, *stream);
  if (!content) {
    const auto error = content.error();
    if (is_cancelled(error) || error == Errc::bad_message) co_return error;
    co_return std::nullopt;
  }
  seat.keep(digest, *content);
  CO_CHECK(co_await registry::answer_with(inquiry, digest, *std::move(content)));
  co_return registry::Found::yes;
}

awaitable<Result<registry::Found>> answer_from_spool(Inquiry& inquiry, const Digest& digest,
                                                     Seat& seat) {
  auto source = seat.source();
  if (!source) co_return registry::Found::no;
  auto request = registry::content_request(inquiry, digest);
  request.size = seat.size();
  auto stream = inquiry.parts.fetcher.from_shared(std::move(request), std::move(source),
                                                  registry::origin_continuation(inquiry, digest));
  const auto answered = co_await registry::answer_from_stream(inquiry, digest, stream);
  if (inquiry.pull.source == registry::PullSource::peer) {
    inquiry.pull.source = registry::PullSource::herd;
  }
  co_return answered;
}

/// What the origin would say: others of the herd have just been told.
awaitable<Result<registry::Found>> refuse_limited(Inquiry& inquiry, Duration lasts) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(lasts).count();
  CO_CHECK(co_await inquiry.answer.refuse(
      429, "TOOMANYREQUESTS",
      "hagring: the registry limits requests, as it has told other nodes that want the same",
      {{"Retry-After", std::to_string(seconds)}}));
  co_return registry::Found::yes;
}

/// What the digest has said of it, for the herd.
void conclude(const Inquiry& inquiry, const error_code& error, Seat& seat) {
  if (inquiry.pull.verified) return seat.finished();
  if (error == Errc::bad_message) seat.corrupt();
}

}  // namespace

Seat::Seat(Herds& herds, std::shared_ptr<Party> party, asio::any_io_executor executor, Again again,
           bool first)
    : herds_(herds),
      party_(std::move(party)),
      at_home_(executor == party_->home()),
      again_(at_home_ ? std::move(again) : nullptr) {
  if (!first) party_->post([own = again_](Party& one) { one.sit(own); });
}

Seat::~Seat() {
  if (asking_) refused(false);
  party_->post([own = again_](Party& party) { party.leave(own); });
}

awaitable<Advice> Seat::advice() {
  const auto end = std::chrono::steady_clock::now() + herds_.options().advice;
  const auto advice = co_await party_->advice(end, at_home_);
  asking_ = advice == Advice::fetch;
  auto& counters = herds_.counters();
  auto& counter = advice == Advice::fetch     ? counters.fetch
                  : advice == Advice::stream  ? counters.stream
                  : advice == Advice::holder  ? counters.holder
                  : advice == Advice::limited ? counters.limited
                                              : counters.alone;
  counter.fetch_add(1, std::memory_order_relaxed);
  co_return advice;
}

std::shared_ptr<registry::SharedSource> Seat::feed(std::optional<registry::Exchange>& exchange,
                                                   std::uint64_t size) {
  if (!std::exchange(asking_, false)) return nullptr;
  return source_of(party_->feed(exchange, size));
}

void Seat::refused(bool denied) {
  if (!std::exchange(asking_, false)) return;
  party_->post([denied](Party& party) { party.origin_refused(denied); });
}

void Seat::refused_for(Duration lasts) {
  if (!std::exchange(asking_, false)) return;
  party_->post([lasts](Party& party) { party.origin_limited(lasts); });
}

void Seat::not_shareable() {
  if (!std::exchange(asking_, false)) return;
  party_->post([](Party& party) { party.not_shareable(); });
}

std::shared_ptr<registry::SharedSource> Seat::source() { return source_of(party_->spool()); }

std::shared_ptr<registry::SharedSource> Seat::source_of(std::shared_ptr<Spool> spool) {
  if (!spool) return nullptr;
  *given_ = 0;
  return std::make_shared<SpoolSource>(party_, std::move(spool), given_, herds_.options().stall);
}

/// A client's stream goes on, reads nothing twice: what it has got says something of the spool only
/// if all of it came from there.
bool Seat::had_all_of_spool() const {
  const auto spool = party_->spool();
  return spool && *given_ == spool->size();
}

std::uint64_t Seat::size() const {
  const auto spool = party_->spool();
  return spool ? spool->size() : 0;
}

void Seat::holder_failed() {
  party_->post([](Party& party) { party.holder_failed(); });
}

void Seat::keep(const Digest& digest, std::string_view content) {
  kept_ = herds_.keep(digest, content);
}

void Seat::finished() {
  party_->post(
      [kept = kept_, all = had_all_of_spool()](Party& party) { party.finished(kept, all); });
}

void Seat::corrupt() {
  if (*given_ == 0) return;
  party_->post([all = had_all_of_spool()](Party& party) { all ? party.corrupt() : party.doubt(); });
}

bool may_take_seat(const Inquiry& inquiry) {
  const auto kind = inquiry.route.kind;
  const bool content =
      kind == registry::Route::Kind::blob || kind == registry::Route::Kind::manifest;
  return inquiry.parts.herds != nullptr && !inquiry.route.head && content &&
         inquiry.parts.hooks.background && !inquiry.request.headers.contains("If-None-Match") &&
         inquiry.request.method == "GET";
}

bool has_part(const Inquiry& inquiry, const Digest& digest) {
  const auto& herds = *inquiry.parts.herds;
  const auto party = herds.find({.digest = digest, .zone = herds.options().zone});
  const auto spool = party && !party->ended() ? party->spool() : nullptr;
  return spool && spool->have() != PerStripe{};
}

awaitable<std::unique_ptr<Seat>> take_seat(Inquiry& inquiry, Digest digest) {
  auto* herds = inquiry.parts.herds;
  if (!may_take_seat(inquiry)) co_return nullptr;
  bool made = false;
  auto asked = about(inquiry, digest, *herds);
  auto own = asked.again;
  auto party = co_await herds->join(inquiry.parts, std::move(asked), made);
  if (!party) co_return nullptr;
  if (!party->whole()) go_ahead(inquiry.parts, party);
  const auto executor = co_await asio::this_coro::executor;
  co_return std::make_unique<Seat>(*herds, std::move(party), executor, std::move(own), made);
}

awaitable<Result<registry::Found>> answer_from_herd(Inquiry& inquiry, const Digest& digest,
                                                    Seat& seat) {
  // A holder that fails is followed by other advice; who always fails must not go on for ever.
  for (unsigned attempt = 0; attempt < inquiry.parts.options.attempts; ++attempt) {
    const auto advice = co_await seat.advice();
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (advice == Advice::fetch || advice == Advice::alone) co_return registry::Found::no;
    if (advice == Advice::limited) co_return co_await refuse_limited(inquiry, seat.limited());
    CO_TRY(const auto permission, co_await registry::may_have(inquiry, digest));
    if (permission == registry::Permission::withheld) co_return registry::Found::no;
    Result<std::optional<registry::Found>> answered(std::nullopt);
    if (advice == Advice::stream) {
      const auto streamed = co_await answer_from_spool(inquiry, digest, seat);
      if (streamed) answered = std::optional(*streamed);
      if (!streamed) answered = streamed.error();
    } else {
      answered = co_await answer_from_holder(inquiry, digest, seat);
    }
    conclude(inquiry, answered.error(), seat);
    if (!answered && answered.error() == Errc::bad_message && !inquiry.answer.begun()) {
      co_return registry::Found::no;
    }
    if (!answered) co_return answered.error();
    if (*answered) co_return **answered;
    seat.holder_failed();
  }
  co_return registry::Found::no;
}

}  // namespace hagring::herd
