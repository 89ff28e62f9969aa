// SPDX-License-Identifier: Apache-2.0
#include "registry/origin_answer.hpp"

#include <fmt/core.h>

#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/stream_answer.hpp"
#include "userspace/base/log.hpp"

namespace hagring::registry {
namespace {

/// What an origin's answer is of the content.
struct Begun {
  std::uint64_t size = 0;    ///< of the whole
  ContentPart part{};        ///< what the client is sent
  std::uint64_t before = 0;  ///< bytes that come before that part
};

/// Whether the client asked for the rest of the content from a byte on that isn't the first.
std::optional<std::uint64_t> wanted_rest(const Inquiry& inquiry) {
  const auto field = inquiry.request.headers.get("Range");
  if (!field || inquiry.request.headers.contains("If-Range")) return std::nullopt;
  const auto range = ByteRange::parse(*field);
  if (!range || !range->first || *range->first == 0 || range->last) return std::nullopt;
  return range->first;
}

/// An answer with all of the content. To one who asked for the rest only its beginning is dropped:
/// containerd 2.1 takes it that a server that has answered one range with 206 does so with all
/// (core/remotes/docker/fetcher.go), and the server may have been a peer.
std::optional<Begun> whole(const Inquiry& inquiry, const http::Response& response,
                           std::optional<std::uint64_t> known) {
  const bool stated = response.body.kind == http::BodyLength::Kind::length;
  if (!stated && !known) return std::nullopt;
  const auto size = stated ? response.body.bytes : *known;
  if (known && *known != size) return std::nullopt;
  const auto rest = wanted_rest(inquiry).value_or(0);
  if (rest >= size) return Begun{.size = size};
  return Begun{.size = size, .part = {.first = rest}, .before = rest};
}

std::optional<Begun> part(const http::Response& response, std::optional<std::uint64_t> known) {
  const auto range = ContentRange::parse(response.headers.get("Content-Range").value_or(""));
  if (!range || !range->size || (known && *known != *range->size)) return std::nullopt;
  const bool stated = response.body.kind == http::BodyLength::Kind::length;
  if (stated && response.body.bytes != range->length()) return std::nullopt;
  const bool to_end = range->last + 1 == *range->size;
  return Begun{.size = *range->size,
               .part = {.first = range->first,
                        .end = to_end ? std::nullopt : std::optional(range->last + 1)}};
}

/// nullopt for an answer that can only be handed on: what its bytes are of the content isn't
/// certain.
std::optional<Begun> begun(const Inquiry& inquiry, const http::Response& response,
                           std::optional<std::uint64_t> known) {
  const auto coding = response.headers.get("Content-Encoding");
  if (inquiry.route.head || (coding && *coding != "identity")) return std::nullopt;
  if (response.status == 200) return whole(inquiry, response, known);
  if (response.status == 206) return part(response, known);
  return std::nullopt;
}

/// The origin's own head; only what says which part follows may be another.
http::Response head_of(const http::Response& response, const Begun& begun) {
  auto head = forwarded(response);
  const auto end = begun.part.end.value_or(begun.size);
  head.body = {http::BodyLength::Kind::length, end - begun.part.first};
  if (begun.before > 0) {
    head.status = 206;
    head.reason.clear();
    head.headers.set("Content-Range",
                     fmt::format("bytes {}-{}/{}", begun.part.first, end - 1, begun.size));
  }
  return head;
}

/// The origin's answer as it comes. A manifest whose length isn't stated is one all the same, if
/// its digest says so.
awaitable<Result<void>> hand_on(Inquiry& inquiry, const Digest& digest, Exchange exchange) {
  const bool manifest = inquiry.route.kind == Route::Kind::manifest && !inquiry.route.head;
  if (!manifest || exchange.response.status != 200) {
    co_return co_await inquiry.answer.relay(exchange);
  }
  std::string content;
  co_return co_await inquiry.answer.relay(exchange, &content, [&]() -> awaitable<void> {
    inquiry.pull.verified = is_content(digest, content);
    if (inquiry.pull.verified) co_await note_manifest(inquiry, digest, content);
  });
}

}  // namespace

awaitable<Result<void>> answer_from_origin(Inquiry& inquiry, const Digest& digest,
                                           Exchange exchange, herd::Seat* seat) {
  inquiry.pull.source = PullSource::origin;
  auto request = content_request(inquiry, digest);
  const auto what = begun(inquiry, exchange.response, request.size);
  const bool is_whole = what && what->part.first == 0 && !what->part.end;
  const bool shareable = seat != nullptr && is_whole && what->before == 0 && what->size > 0;
  // Now, not when this client has got it all: the others wait.
  if (seat != nullptr && !shareable) seat->not_shareable();
  if (!what) co_return co_await hand_on(inquiry, digest, std::move(exchange));
  request.size = what->size;
  CO_CHECK(co_await inquiry.answer.head(head_of(exchange.response, *what)));
  std::optional<Exchange> own(std::move(exchange));
  auto shared = shareable ? seat->feed(own, what->size) : nullptr;
  auto again = origin_continuation(inquiry, digest);
  auto stream =
      shared ? inquiry.parts.fetcher.from_shared(std::move(request), std::move(shared),
                                                 std::move(again))
             : inquiry.parts.fetcher.from_origin(std::move(request), what->part, *std::move(own),
                                                 what->before, std::move(again));
  if (!is_whole) co_return co_await send_part(inquiry, stream);
  co_return co_await send_whole(inquiry, digest, stream);
}

}  // namespace hagring::registry
