// SPDX-License-Identifier: Apache-2.0
#include "registry/fetcher.hpp"

#include "registry/peer_request.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"

namespace hagring::registry {

std::optional<Peer> Fetcher::recent(const Digest& digest) {
  auto peer = recent_.of(digest);
  return peer && conduct_.may_ask(peer->key()) ? std::move(peer) : std::nullopt;
}

awaitable<Result<Peer>> Fetcher::next(PeerSearch& search) {
  while (true) {
    CO_TRY(auto peer, co_await with_deadline(clock_, options_.search, search.next()));
    if (conduct_.may_ask(peer.key())) co_return peer;
    log::debug("fetcher", "peer {} is not asked for now", peer.name);
  }
}

awaitable<Result<Exchange>> Fetcher::ask(Peer peer, http::Request request) {
  const Upstream to{.host = {},
                    .port = peer.address.port(),
                    .tls = false,
                    .preferred = peer.address,
                    .identity = peer.identity};
  const auto begin = clock_.now();
  auto exchange = co_await client_.send(to, std::move(request), options_.first_byte);
  if (exchange) {
    conduct_.first_bytes().note(peer.key(), clock_.now() - begin);
    conduct_.in_reach(peer.key());
  } else if (!is_cancelled(exchange.error())) {
    conduct_.out_of_reach(peer.key(), exchange.error().message());
  }
  co_return exchange;
}

awaitable<Result<ContentStream>> Fetcher::open(ContentRequest request, ContentPart part,
                                               Continuation continuation) {
  ContentStream stream(*this, std::move(request), part, std::move(continuation));
  const auto begun = co_await with_deadline(clock_, options_.budget, stream.begin());
  if (!begun && is_cancelled(begun.error())) co_return begun.error();
  if (!begun) co_return stream.sent_to_herd_ ? Errc::unavailable : Errc::not_found;
  co_return std::move(stream);
}

ContentStream Fetcher::from_origin(ContentRequest request, ContentPart part, Exchange exchange,
                                   std::uint64_t before, Continuation continuation) {
  ContentStream stream(*this, std::move(request), part, std::move(continuation));
  stream.origin_first_ = true;
  stream.source_.emplace(
      ContentStream::Source{.peer = {}, .exchange = std::move(exchange), .before = before});
  return stream;
}

ContentStream Fetcher::from_shared(ContentRequest request, std::shared_ptr<SharedSource> source,
                                   Continuation continuation) {
  ContentStream stream(*this, std::move(request), {}, std::move(continuation));
  stream.source_.emplace(ContentStream::Source{.shared = std::move(source)});
  return stream;
}

awaitable<Result<ContentStream>> Fetcher::open_at(Peer peer, ContentRequest request,
                                                  Continuation continuation) {
  ContentStream stream(*this, std::move(request), {}, std::move(continuation));
  auto source = co_await with_deadline(clock_, options_.budget, stream.ask(std::move(peer)));
  if (!source) co_return is_cancelled(source.error()) ? source.error() : Errc::not_found;
  stream.source_.emplace(*std::move(source));
  co_return std::move(stream);
}

awaitable<Result<std::uint64_t>> Fetcher::size_of(ContentRequest request) {
  const auto search = router_.find(request.digest.to_string());
  const auto end = clock_.now() + options_.budget;
  for (std::size_t asked = 0; asked < options_.max_peers && clock_.now() < end; ++asked) {
    const auto peer = co_await next(*search);
    if (!peer) co_return is_cancelled(peer.error()) ? peer.error() : Errc::not_found;
    const auto size = co_await size_at(*peer, request);
    if (size || is_cancelled(size.error())) co_return size;
  }
  co_return Errc::not_found;
}

awaitable<Result<std::uint64_t>> Fetcher::size_at(Peer peer, const ContentRequest& request) {
  CO_TRY(const auto exchange, co_await ask(peer, peer_request(peer, "HEAD", request, {})));
  const auto& response = exchange.response;
  const bool known = response.body.kind == http::BodyLength::Kind::length;
  if (response.status != 200 || !known) co_return Errc::not_found;
  if (request.size && *request.size != response.body.bytes) co_return Errc::bad_message;
  note_privacy(request.digest, response);
  co_return response.body.bytes;
}

}  // namespace hagring::registry
