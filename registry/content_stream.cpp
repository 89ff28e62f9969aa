// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "registry/fetcher.hpp"
#include "registry/peer_request.hpp"
#include "registry/range.hpp"
#include "userspace/base/log.hpp"

namespace hagring::registry {

ContentStream::ContentStream(Fetcher& fetcher, ContentRequest request, std::uint64_t offset,
                             Continuation continuation, std::unique_ptr<PeerSearch> search)
    : fetcher_(&fetcher),
      request_(std::move(request)),
      offset_(offset),
      continuation_(std::move(continuation)),
      search_(std::move(search)) {
  if (request_.size) {
    size_ = *request_.size;
    size_known_ = true;
  }
}

awaitable<Result<std::size_t>> ContentStream::read(MutableBytes into) {
  while (offset_ < size_) {
    if (!source_) CO_CHECK(co_await next_source());
    auto& source = *source_;
    const auto before = fetcher_->clock_.now();
    const auto got = co_await source.exchange.connection().read_body(
        into.first(std::min<std::uint64_t>(into.size(), size_ - offset_)));
    source.waited += fetcher_->clock_.now() - before;
    if (got && *got > 0) {
      if (source.bytes == 0 && !source.peer.empty() &&
          std::ranges::find(contributors_, source.peer) == contributors_.end()) {
        contributors_.push_back(source.peer);
      }
      source.bytes += *got;
      offset_ += *got;
      (void)co_await leave_slow_source();
      co_return *got;
    }
    if (!got && is_cancelled(got.error())) co_return got.error();
    log::info("fetcher", "{} of {} broke off at byte {} of {}",
              source.peer.empty() ? "the origin" : source.peer, request_.digest.to_string(),
              offset_, size_);
    source_.reset();
  }
  // Whatever its framing says comes last must have come for its connection to be kept.
  if (source_) {
    (void)co_await source_->exchange.connection().skip_body(0);
    source_.reset();
  }
  co_return std::size_t{0};
}

awaitable<Result<void>> ContentStream::begin() {
  CO_TRY(auto source, co_await next_peer());
  source_.emplace(std::move(source));
  co_return Result<void>();
}

awaitable<Result<void>> ContentStream::next_source() {
  auto peer = co_await next_peer();
  if (!peer && is_cancelled(peer.error())) co_return peer.error();
  auto source = peer ? std::move(peer) : co_await continued();
  if (!source) co_return is_cancelled(source.error()) ? source.error() : Errc::unavailable;
  source_.emplace(*std::move(source));
  co_return Result<void>();
}

/// Asks peers, in the router's order, until one sends the content from offset_ on.
awaitable<Result<ContentStream::Source>> ContentStream::next_peer() {
  while (search_ && asked_ < fetcher_->options_.max_peers) {
    auto peer = co_await fetcher_->next(*search_);
    if (!peer) {
      if (is_cancelled(peer.error())) co_return peer.error();
      search_.reset();
      break;
    }
    ++asked_;
    auto exchange = co_await fetcher_->ask(*peer, peer_request(*peer, "GET", request_, offset_));
    if (!exchange && is_cancelled(exchange.error())) co_return exchange.error();
    if (!exchange) {
      log::info("fetcher", "peer {}: {}", peer->name, exchange.error().message());
      continue;
    }
    fetcher_->note_privacy(request_.digest, exchange->response);
    auto source = accepted(peer->key(), *std::move(exchange));
    if (source) co_return source;
  }
  co_return Errc::not_found;
}

awaitable<Result<ContentStream::Source>> ContentStream::continued() {
  const auto continuation = std::exchange(continuation_, nullptr);
  if (!continuation) co_return Errc::unavailable;
  CO_TRY(auto exchange, co_await continuation(offset_));
  co_return accepted("", std::move(exchange));
}

/// Whether the response is the content from offset_ to its end.
Result<ContentStream::Source> ContentStream::accepted(std::string peer, Exchange exchange) {
  const auto& response = exchange.response;
  const auto coding = response.headers.get("Content-Encoding");
  if (coding && *coding != "identity") return Errc::bad_message;
  if (response.body.kind != http::BodyLength::Kind::length) return Errc::bad_message;
  std::uint64_t first = 0;
  std::uint64_t size = response.body.bytes;
  if (response.status == 206) {
    const auto range = ContentRange::parse(response.headers.get("Content-Range").value_or(""));
    if (!range || !range->size || range->last + 1 != *range->size ||
        range->length() != response.body.bytes) {
      return Errc::bad_message;
    }
    first = range->first;
    size = *range->size;
  } else if (response.status != 200) {
    return Errc::not_found;
  }
  // Threat: a peer that claims another size could fill containerd's disk or starve the pull.
  if (first != offset_ || (size_known_ && size != size_)) return Errc::bad_message;
  size_ = size;
  size_known_ = true;
  return Source{.peer = std::move(peer), .exchange = std::move(exchange)};
}

/// A source that sends a byte now and then never trips the limit on stalls.
awaitable<bool> ContentStream::leave_slow_source() {
  const auto& options = fetcher_->options_;
  auto& source = *source_;
  if (source.waited < options.slow_after || offset_ == size_) co_return false;
  const auto seconds = std::chrono::duration<double>(source.waited).count();
  const bool slow = static_cast<double>(source.bytes) / seconds <
                    static_cast<double>(options.slow_bytes_per_second);
  source.waited = Duration{0};
  source.bytes = 1;  // its contribution has been noted
  if (!slow || source.peer.empty()) co_return false;
  log::info("fetcher", "peer {} is slow with {}", source.peer, request_.digest.to_string());
  auto other = co_await next_peer();
  if (!other) other = co_await continued();
  if (!other) co_return false;  // slow is better than nothing
  source_.emplace(*std::move(other));
  co_return true;
}

}  // namespace hagring::registry
