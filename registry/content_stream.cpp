// SPDX-License-Identifier: Apache-2.0
#include "registry/content_stream.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "registry/fetcher.hpp"
#include "registry/origin_server.hpp"
#include "registry/peer_request.hpp"
#include "registry/race.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kPiece = 128UL * 1024;
/// What is read of a refusal's own body, and for how long, to keep its connection.
constexpr std::size_t kRefusalBytes = 16UL * 1024;
constexpr auto kRefusal = std::chrono::milliseconds(200);

/// Whether the bytes of the body are those of the content itself.
bool is_coded(const http::Response& response) {
  const auto coding = response.headers.get("Content-Encoding");
  return coding && *coding != "identity";
}

std::string_view shown(const std::string& peer) {
  return peer.empty() ? std::string_view("the origin") : Peer::shown(peer);
}

/// Reads bytes that are not wanted.
awaitable<Result<void>> drop(Exchange& exchange, std::uint64_t bytes) {
  Bytes buffer(std::min<std::uint64_t>(kPiece, bytes));
  while (bytes > 0) {
    const auto most = std::min<std::uint64_t>(buffer.size(), bytes);
    CO_TRY(const auto size,
           co_await exchange.connection().read_body(MutableBytes(buffer).first(most)));
    if (size == 0) co_return Errc::truncated;
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    bytes -= size;
  }
  co_return Result<void>();
}

}  // namespace

ContentStream::ContentStream(Fetcher& fetcher, ContentRequest request, ContentPart part,
                             Continuation continuation)
    : fetcher_(&fetcher),
      request_(std::move(request)),
      offset_(part.first),
      wanted_end_(part.end),
      continuation_(std::move(continuation)) {
  if (request_.size) {
    size_ = *request_.size;
    size_known_ = true;
  }
}

awaitable<Result<std::size_t>> ContentStream::read(MutableBytes into) {
  while (offset_ < end()) {
    if (source_ && std::exchange(slow_, false)) CO_CHECK(co_await leave_slow_source());
    if (!source_) CO_CHECK(co_await next_source());
    const auto got =
        co_await read_source(into.first(std::min<std::uint64_t>(into.size(), end() - offset_)));
    if (got && *got > 0) {
      count(*got);
      slow_ = is_slow();
      co_return *got;
    }
    if (!got && is_cancelled(got.error())) co_return got.error();
    note_break(got ? make_error_code(Errc::truncated) : got.error());
    source_.reset();
  }
  // Whatever its framing says comes last must have come for its connection to be kept.
  if (source_) {
    if (source_->exchange) (void)co_await source_->exchange->connection().skip_body(0);
    source_.reset();
  }
  co_return std::size_t{0};
}

awaitable<Result<std::size_t>> ContentStream::read_source(MutableBytes into) {
  auto& source = *source_;
  if (source.shared) co_return co_await source.shared->read(offset_, into);
  const auto begin = fetcher_->clock_.now();
  if (source.before > 0) CO_CHECK(co_await drop(*source.exchange, std::exchange(source.before, 0)));
  auto got = co_await source.exchange->connection().read_body(into);
  source.waited += fetcher_->clock_.now() - begin;
  co_return got;
}

void ContentStream::count(std::size_t bytes) {
  auto& source = *source_;
  if (source.shared) {
    origin_contributed_ = origin_contributed_ || source.shared->origin_contributed();
    shared_ = source.shared;
  } else if (source.peer.empty()) {
    origin_contributed_ = true;
    in_vain_ = 0;
  } else if (std::ranges::find(senders_, source.peer) == senders_.end()) {
    senders_.push_back(source.peer);
  }
  source.bytes += bytes;
  offset_ += bytes;
}

std::vector<std::string> ContentStream::contributors() const {
  auto all = senders_;
  if (!shared_) return all;
  for (auto& peer : shared_->contributors()) {
    if (std::ranges::find(all, peer) == all.end()) all.push_back(std::move(peer));
  }
  return all;
}

void ContentStream::note_break(const error_code& error) {
  const auto& peer = source_->peer;
  log::info("fetcher", "{} broke off at byte {} of {} of {}: {}",
            source_->shared ? "the herd" : shown(peer), offset_, size_, request_.digest.to_string(),
            error.message());
  fetcher_->recent_.fails(request_.digest, peer);
  // It would cost the next request the same time.
  if (!peer.empty() && error == Errc::timed_out) {
    fetcher_->conduct_.out_of_reach(peer, "fell silent in the middle of a body");
  }
}

awaitable<Result<void>> ContentStream::begin() {
  CO_TRY(auto source, co_await next_peer());
  source_.emplace(std::move(source));
  co_return Result<void>();
}

awaitable<Result<void>> ContentStream::next_source() {
  auto source = origin_first_ ? co_await continued() : co_await next_peer();
  if (!source && !is_cancelled(source.error())) {
    source = origin_first_ ? co_await next_peer() : co_await continued();
  }
  if (!source) co_return is_cancelled(source.error()) ? source.error() : Errc::unavailable;
  source_.emplace(*std::move(source));
  co_return Result<void>();
}

/// Asks peers, the one that sent it last and then in the router's order, until one sends the
/// content from offset_ on.
awaitable<Result<ContentStream::Source>> ContentStream::next_peer() {
  while (!exhausted_ && asked_ < fetcher_->options_.max_peers) {
    auto peer = co_await next_candidate();
    if (!peer) {
      if (is_cancelled(peer.error())) co_return peer.error();
      exhausted_ = true;
      search_.reset();
      break;
    }
    ++asked_;
    auto source = hedged_ ? co_await ask(*peer) : co_await ask_and_hedge(*peer);
    if (source || is_cancelled(source.error())) co_return source;
  }
  co_return Errc::not_found;
}

/// Asks one peer, and remembers what comes of it.
awaitable<Result<ContentStream::Source>> ContentStream::ask(Peer peer) {
  auto source = co_await source_at(peer);
  auto& recent = fetcher_->recent_;
  if (source) {
    recent.sends(request_.digest, std::move(peer));
  } else if (!is_cancelled(source.error())) {
    recent.fails(request_.digest, peer.key());
  }
  co_return source;
}

awaitable<Result<ContentStream::Source>> ContentStream::source_at(Peer peer) {
  auto exchange =
      co_await fetcher_->ask(peer, peer_request(peer, "GET", request_, {offset_, wanted_end_}));
  if (exchange && exchange->response.status >= 400) {
    sent_to_herd_ |= request_.joins && exchange->response.headers.contains(herd::kJoinField);
    // Only for the connection's sake, which costs a handshake and a proof of membership.
    (void)co_await with_deadline(fetcher_->clock_, kRefusal,
                                 exchange->connection().skip_body(kRefusalBytes));
    co_return co_await asked_to_stop() ? Errc::cancelled : Errc::not_found;
  }
  if (exchange) {
    fetcher_->note_privacy(request_.digest, exchange->response);
    co_return accepted(peer.key(), *std::move(exchange));
  }
  if (!is_cancelled(exchange.error())) {
    log::info("fetcher", "peer {}: {}", peer.name, exchange.error().message());
  }
  co_return exchange.error();
}

awaitable<Result<ContentStream::Source>> ContentStream::ask_and_hedge(Peer peer) {
  auto& clock = fetcher_->clock_;
  auto& times = fetcher_->conduct_.first_bytes();
  const auto begin = clock.now();
  Race<Source> race(co_await asio::this_coro::executor, clock);
  auto outcome = co_await race.run([this, peer] { return ask(peer); }, times.patience(peer.key()),
                                   [this] { return ask_another(); });
  if (hedged_) times.count_hedge(outcome.second_won);
  // One that has only been too late is asked again when the winner dies.
  if (outcome.second_won) hedge_.reset();
  if (hedge_) --asked_;
  if (outcome.second_won) {
    log::debug("fetcher", "peer {} was slower than another with {}", peer.name,
               request_.digest.to_string());
    times.note(peer.key(), clock.now() - begin);
  }
  co_return std::move(outcome.result);
}

awaitable<Result<ContentStream::Source>> ContentStream::ask_another() {
  if (asked_ >= fetcher_->options_.max_peers) co_return Errc::not_found;
  CO_TRY(auto peer, co_await next_candidate());
  ++asked_;
  hedged_ = true;
  hedge_ = peer;
  auto source = co_await ask(std::move(peer));
  if (!source && !is_cancelled(source.error())) hedge_.reset();
  co_return source;
}

/// The peer that lost a race, the one that sent the content last, or the router's next.
awaitable<Result<Peer>> ContentStream::next_candidate() {
  if (hedge_) co_return *std::exchange(hedge_, std::nullopt);
  if (!std::exchange(recalled_, true)) {
    if (auto recent = fetcher_->recent(request_.digest)) {
      known_ = recent->key();
      co_return *std::move(recent);
    }
  }
  if (!search_) search_ = fetcher_->router_.find(request_.digest.to_string());
  while (true) {
    CO_TRY(auto peer, co_await fetcher_->next(*search_));
    if (peer.key() != known_) co_return peer;
  }
}

/// Asks the origin, once more if the first try was in vain.
awaitable<Result<ContentStream::Source>> ContentStream::continued() {
  const auto& options = fetcher_->options_;
  while (continuation_ && continuations_ < options.max_continuations &&
         in_vain_ < options.max_in_vain) {
    ++continuations_;
    ++in_vain_;
    auto source = co_await continue_once(false);
    if (source || is_cancelled(source.error())) co_return source;
    log::info("fetcher", "the origin does not go on at byte {} of {}: {}", offset_,
              request_.digest.to_string(), source.error().message());
  }
  co_return Errc::unavailable;
}

awaitable<Result<ContentStream::Source>> ContentStream::continue_once(bool others) {
  ByteRange range{.first = offset_};
  if (wanted_end_) range.last = *wanted_end_ - 1;
  CO_TRY(auto exchange, co_await continuation_(range, others));
  co_return accepted_of_origin(std::move(exchange));
}

/// Whether the response is the content from offset_ to its end, or to that of the part.
Result<ContentStream::Source> ContentStream::accepted(std::string peer, Exchange exchange) {
  const auto& response = exchange.response;
  if (is_coded(response)) return Errc::bad_message;
  if (response.body.kind != http::BodyLength::Kind::length) return Errc::bad_message;
  std::uint64_t first = 0;
  std::uint64_t size = response.body.bytes;
  if (response.status == 206) {
    const auto range = ContentRange::parse(response.headers.get("Content-Range").value_or(""));
    if (!range || !range->size || range->length() != response.body.bytes) return Errc::bad_message;
    first = range->first;
    size = *range->size;
    if (range->last + 1 != std::min(wanted_end_.value_or(size), size)) return Errc::bad_message;
  } else if (response.status != 200) {
    return Errc::not_found;
  }
  // Threat: a peer that claims another size could fill containerd's disk or starve the pull.
  if (first != offset_ || (size_known_ && size != size_)) return Errc::bad_message;
  size_ = size;
  size_known_ = true;
  return Source{.peer = std::move(peer), .exchange = std::move(exchange)};
}

/// Of an origin, or of what it redirects to, more is put up with: a length that isn't told, a part
/// that ends early, no ranges at all. But the content must be of the size that was told before.
Result<ContentStream::Source> ContentStream::accepted_of_origin(Exchange exchange) {
  const auto& response = exchange.response;
  if (is_coded(response)) return Errc::bad_message;
  std::uint64_t before = 0;
  if (response.status == 206) {
    const auto range = ContentRange::parse(response.headers.get("Content-Range").value_or(""));
    if (!range || range->first != offset_) return Errc::bad_message;
    if (range->size && *range->size != size_) return Errc::bad_message;
  } else if (response.status == 200) {
    const bool length_known = response.body.kind == http::BodyLength::Kind::length;
    if (length_known && response.body.bytes != size_) return Errc::bad_message;
    before = offset_;
  } else {
    log::debug("fetcher", "the origin answers {}", response.status);
    return Errc::unavailable;
  }
  return Source{.peer = {}, .exchange = std::move(exchange), .before = before};
}

/// A source that sends a byte now and then never trips the limit on stalls.
bool ContentStream::is_slow() {
  const auto& options = fetcher_->options_;
  auto& source = *source_;
  if (source.waited < options.slow_after || offset_ == end()) return false;
  const auto seconds = std::chrono::duration<double>(source.waited).count();
  const bool slow = static_cast<double>(source.bytes) / seconds <
                    static_cast<double>(options.slow_bytes_per_second);
  source.waited = Duration{0};
  source.bytes = 0;
  return slow && !source.peer.empty();
}

/// The slow source isn't read meanwhile, so the search may not take long: slow is better than
/// nothing.
awaitable<Result<void>> ContentStream::leave_slow_source() {
  const auto peer = source_->peer;
  log::info("fetcher", "peer {} is slow with {}", shown(peer), request_.digest.to_string());
  auto other = co_await with_deadline(fetcher_->clock_, fetcher_->options_.faster, faster_source());
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (!other) co_return Result<void>();
  fetcher_->conduct_.out_of_reach(peer, "sent a body too slowly");
  source_.emplace(*std::move(other));
  co_return Result<void>();
}

/// Another peer or the origin; the last of the tries that the origin is given is kept for when
/// nobody else is left.
awaitable<Result<ContentStream::Source>> ContentStream::faster_source() {
  auto other = co_await next_peer();
  if (other || is_cancelled(other.error())) co_return other;
  const auto& options = fetcher_->options_;
  if (!continuation_ || continuations_ + 1 >= options.max_continuations ||
      in_vain_ + 1 >= options.max_in_vain) {
    co_return Errc::unavailable;
  }
  ++continuations_;
  ++in_vain_;
  auto origin = co_await continue_once(true);
  if (!origin && was_spared(origin.error())) {
    --continuations_;
    --in_vain_;
  }
  co_return origin;
}

}  // namespace hagring::registry
