// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "registry/content_answer.hpp"
#include "registry/herd/herds.hpp"
#include "registry/manifest.hpp"
#include "registry/permission.hpp"
#include "registry/stream_answer.hpp"

namespace hagring::registry {
namespace {

/// A last byte that is none: numbers beyond 64 bits are read as this.
constexpr auto kNoEnd = std::numeric_limits<std::uint64_t>::max();

/// nullopt for a part at the end of content whose size isn't known.
std::optional<ContentPart> part_of(const ByteRange& range, std::optional<std::uint64_t> size) {
  if (!range.first) {
    if (!size) return std::nullopt;
    return ContentPart{.first = *size - std::min(*range.last, *size)};
  }
  ContentPart part{.first = *range.first};
  if (range.last && *range.last < kNoEnd) part.end = *range.last + 1;
  return part;
}

/// Sends a part that doesn't begin at the first byte or doesn't go to the end.
awaitable<Result<Found>> send_part_from_peers(Inquiry& inquiry, const Digest& digest,
                                              ContentPart part) {
  auto stream = co_await inquiry.parts.fetcher.open(content_request(inquiry, digest), part, {});
  if (!stream) co_return is_cancelled(stream.error()) ? Result<Found>(stream.error()) : Found::no;
  CO_TRY(const auto permission, co_await may_have(inquiry, digest));
  if (permission == Permission::withheld) co_return Found::no;
  auto answer = content_answer(inquiry, digest, "application/octet-stream", stream->size());
  if (answer.part.kind != Selection::Kind::part || answer.part.first != part.first ||
      answer.part.first + answer.part.length != stream->end()) {
    co_return Found::no;
  }
  inquiry.pull.source = PullSource::peer;
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  CO_CHECK(co_await send_part(inquiry, *stream));
  co_return Found::yes;
}

/// Sends a blob that is too large to be verified first.
awaitable<Result<Found>> send_large_blob(Inquiry& inquiry, const Digest& digest,
                                         ContentStream& stream) {
  auto answer = content_answer(inquiry, digest, "application/octet-stream", stream.size());
  if (answer.part.length != stream.size()) co_return Found::no;
  inquiry.pull.source = PullSource::peer;
  if (answer.unchanged) {
    CO_CHECK(co_await say_unchanged(inquiry, std::move(answer)));
    co_return Found::yes;
  }
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  CO_CHECK(co_await send_whole(inquiry, digest, stream));
  co_return Found::yes;
}

/// Asks for a blob from its first byte on.
awaitable<Result<Found>> send_blob(Inquiry& inquiry, const Digest& digest) {
  auto& parts = inquiry.parts;
  for (unsigned attempt = 0; attempt < parts.options.attempts; ++attempt) {
    auto request = content_request(inquiry, digest);
    if (inquiry.joins) request.joins = parts.herds->options().zone;
    auto stream =
        co_await parts.fetcher.open(std::move(request), {}, origin_continuation(inquiry, digest));
    inquiry.sent_to_herd |= !stream && stream.error() == Errc::unavailable;
    if (!stream) co_return is_cancelled(stream.error()) ? Result<Found>(stream.error()) : Found::no;
    CO_TRY(const auto permission, co_await may_have(inquiry, digest));
    if (permission == Permission::withheld) co_return Found::no;
    const auto answered = co_await answer_from_stream(inquiry, digest, *stream);
    const bool again =
        !answered && answered.error() == Errc::bad_message && !inquiry.answer.begun();
    if (!again) co_return answered;
  }
  co_return Found::no;
}

awaitable<Result<Found>> send_blob_head(Inquiry& inquiry, const Digest& digest) {
  const auto size = co_await inquiry.parts.fetcher.size_of(content_request(inquiry, digest));
  if (!size) co_return is_cancelled(size.error()) ? Result<Found>(size.error()) : Found::no;
  CO_TRY(const auto permission, co_await may_have(inquiry, digest));
  if (permission == Permission::withheld) co_return Found::no;
  inquiry.pull.source = PullSource::peer;
  auto answer = content_answer(inquiry, digest, "application/octet-stream", *size);
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  CO_CHECK(co_await inquiry.answer.finish());
  co_return Found::yes;
}

}  // namespace

awaitable<Result<Found>> answer_from_stream(Inquiry& inquiry, const Digest& digest,
                                            ContentStream& stream) {
  const auto& parts = inquiry.parts;
  const auto size = stream.size();
  const bool manifest = inquiry.route.kind == Route::Kind::manifest;
  if (manifest && size > kMaxManifestBytes) co_return Found::no;
  const bool whole = manifest || size <= parts.options.verify_whole;
  if (!whole || parts.held + size > parts.options.verify_budget) {
    if (manifest) co_return Found::no;
    co_return co_await send_large_blob(inquiry, digest, stream);
  }
  auto content = co_await collect_verified(inquiry, digest, stream);
  if (!content) {
    const auto error = content.error();
    const bool told = is_cancelled(error) || error == Errc::bad_message;
    co_return told ? Result<Found>(error) : Found::no;
  }
  CO_CHECK(co_await answer_with(inquiry, digest, *std::move(content)));
  co_return Found::yes;
}

awaitable<Result<std::string>> verified_from_peers(Inquiry& inquiry, const Digest& digest,
                                                   std::size_t limit) {
  auto& parts = inquiry.parts;
  for (unsigned attempt = 0; attempt < parts.options.attempts; ++attempt) {
    auto stream = co_await parts.fetcher.open(content_request(inquiry, digest), {}, {});
    if (!stream) co_return stream.error();
    CO_TRY(const auto permission, co_await may_have(inquiry, digest));
    if (permission == Permission::withheld) co_return Errc::not_found;
    if (stream->size() > limit || parts.held + stream->size() > parts.options.verify_budget) {
      co_return Errc::too_large;
    }
    auto content = co_await collect_verified(inquiry, digest, *stream);
    if (content || content.error() != Errc::bad_message) co_return content;
  }
  co_return Errc::not_found;
}

awaitable<Result<Found>> answer_from_peers(Inquiry& inquiry, const Digest& digest) {
  if (inquiry.route.kind == Route::Kind::manifest) {
    // The whole of it even for a HEAD: a size and a type from a peer are no more than a claim.
    auto content = co_await verified_from_peers(inquiry, digest, kMaxManifestBytes);
    if (!content)
      co_return is_cancelled(content.error()) ? Result<Found>(content.error()) : Found::no;
    CO_CHECK(co_await answer_with(inquiry, digest, *std::move(content)));
    co_return Found::yes;
  }
  if (inquiry.route.head) co_return co_await send_blob_head(inquiry, digest);
  const auto field = inquiry.request.headers.get("Range");
  const auto range = field ? ByteRange::parse(*field) : std::nullopt;
  const auto size = content_request(inquiry, digest).size;
  const bool is_small = size && *size <= inquiry.parts.options.verify_whole;
  // The whole of a small blob is got, so that a part of it can be verified.
  if (!range || (range->first == 0U && !range->last) || is_small) {
    co_return co_await send_blob(inquiry, digest);
  }
  const auto part = part_of(*range, size);
  if (!part) co_return Found::no;
  co_return co_await send_part_from_peers(inquiry, digest, *part);
}

}  // namespace hagring::registry
