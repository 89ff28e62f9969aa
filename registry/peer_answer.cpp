// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>

#include "registry/content_answer.hpp"
#include "registry/forwarding.hpp"
#include "registry/manifest.hpp"
#include "registry/permission.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kPiece = 128UL * 1024;

/// Counts bytes that are held in memory against the thread's budget.
class Held {
 public:
  Held(std::size_t& total, std::size_t bytes) : total_(total), bytes_(bytes) { total_ += bytes_; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { total_ -= bytes_; }

 private:
  std::size_t& total_;
  const std::size_t bytes_;
};

/// Peers as people read of them.
std::string joined(const std::vector<std::string>& keys) {
  std::string result;
  for (const auto& key : keys) result.append(result.empty() ? "" : ", ").append(Peer::shown(key));
  return result;
}

/// Notes that what came isn't what the digest says.
void blame(Inquiry& inquiry, const Digest& digest, const ContentStream& stream) {
  const auto peers = joined(stream.contributors());
  log::warning("mirror", "{} from {} is not what its digest says: banned, asking elsewhere",
               digest.to_string(), peers);
  inquiry.parts.conduct.wrong_digest(digest, stream.contributors());
  inquiry.pull.note = "wrong content from " + peers;
}

awaitable<Result<std::string>> collect(ContentStream& stream) {
  std::string content;
  Bytes buffer(std::min<std::uint64_t>(kPiece, stream.size() + 1));
  while (true) {
    CO_TRY(const auto size, co_await stream.read(buffer));
    if (size == 0) co_return content;
    // It grows with what has come, not with what was announced.
    content.append(as_text(ByteView(buffer).first(size)));
  }
}

/// The origin as the source that goes on where the last peer has stopped.
Continuation origin_continuation(Inquiry& inquiry, const Digest& digest) {
  if (inquiry.rule.tags == TagOrder::peers_only) return {};
  return [&inquiry, digest](std::uint64_t offset) -> awaitable<Result<Exchange>> {
    auto request = forwarded(inquiry.request);
    request.headers.set("Range", fmt::format("bytes={}-", offset));
    auto exchange = co_await inquiry.parts.origin.read(inquiry.origin, std::move(request));
    if (exchange) note_answer(inquiry, digest, *exchange);
    co_return exchange;
  };
}

/// Sends the next `length` bytes of `stream` as they come; hashes them if asked to.
awaitable<Result<void>> pump(Inquiry& inquiry, ContentStream& stream, std::uint64_t length,
                             Hasher* hasher) {
  Bytes buffer(std::min<std::uint64_t>(kPiece, length));
  while (length > 0) {
    const auto most = std::min<std::uint64_t>(buffer.size(), length);
    const auto size = co_await stream.read(MutableBytes(buffer).first(most));
    if (!size || *size == 0) {
      inquiry.pull.note = fmt::format("no source is left at byte {}", stream.offset());
      co_return size ? Errc::unavailable : size.error();
    }
    const auto part = ByteView(buffer).first(*size);
    if (hasher != nullptr) hasher->update(part);
    CO_CHECK(co_await inquiry.answer.body(part));
    length -= *size;
  }
  co_return Result<void>();
}

/// Sends a blob that is too large to be verified first: the tail is held back until the digest is
/// right. Wrong bytes have reached the client by then, and it would resume on them: the runtime
/// is made to drop them first, and only then the connection ends, short of the length.
awaitable<Result<void>> send_with_tail_held(Inquiry& inquiry, const Digest& digest,
                                            ContentStream& stream) {
  auto& parts = inquiry.parts;
  auto answer = content_answer(inquiry, digest, "application/octet-stream", stream.size());
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  const auto held = std::min<std::uint64_t>(parts.options.held_tail, stream.size());
  Hasher hasher(digest.algorithm());
  const auto pumped = co_await pump(inquiry, stream, stream.size() - held, &hasher);
  inquiry.pull.peers = joined(stream.contributors());
  if (!pumped) co_return pumped.error();
  const Held budget(parts.held, held);
  const auto tail = co_await collect(stream);
  inquiry.pull.peers = joined(stream.contributors());
  if (!tail) {
    inquiry.pull.note = fmt::format("no source is left at byte {}", stream.offset());
    co_return tail.error();
  }
  hasher.update(as_bytes(*tail));
  if (!digest.matches(hasher)) {
    blame(inquiry, digest, stream);
    const auto aborted = co_await with_deadline(parts.clock, parts.options.abort_ingest,
                                                parts.store.abort_ingest(digest));
    if (!aborted) {
      log::warning("mirror", "the runtime may keep wrong bytes of {} until it collects garbage: {}",
                   digest.to_string(), aborted.error().message());
    }
    co_return Errc::bad_message;
  }
  inquiry.pull.verified = true;
  CO_CHECK(co_await inquiry.answer.body(as_bytes(*tail)));
  co_return co_await inquiry.answer.finish();
}

/// Sends a part that doesn't begin at the first byte: it can't be verified here, containerd does it
/// when it has the whole.
awaitable<Result<Found>> send_part(Inquiry& inquiry, const Digest& digest, std::uint64_t first) {
  auto stream = co_await inquiry.parts.fetcher.open(content_request(inquiry, digest), first, {});
  if (!stream) co_return is_cancelled(stream.error()) ? Result<Found>(stream.error()) : Found::no;
  CO_TRY(const auto permission, co_await may_have(inquiry, digest));
  if (permission == Permission::withheld) co_return Found::no;
  auto answer = content_answer(inquiry, digest, "application/octet-stream", stream->size());
  if (answer.part.kind != Selection::Kind::part || answer.part.first != first) co_return Found::no;
  inquiry.pull.source = PullSource::peer;
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  const auto pumped = co_await pump(inquiry, *stream, answer.part.length, nullptr);
  inquiry.pull.peers = joined(stream->contributors());
  if (!pumped) co_return pumped.error();
  CO_CHECK(co_await inquiry.answer.finish());
  co_return Found::yes;
}

/// Gets the rest of `stream` and verifies it. Errors: Errc::bad_message for wrong content.
awaitable<Result<std::string>> collect_verified(Inquiry& inquiry, const Digest& digest,
                                                ContentStream& stream) {
  const Held budget(inquiry.parts.held, stream.size());
  auto content = co_await collect(stream);
  if (!content) co_return content.error();
  if (!is_content(digest, *content)) {
    blame(inquiry, digest, stream);
    co_return Errc::bad_message;
  }
  inquiry.pull.source = PullSource::peer;
  inquiry.pull.peers = joined(stream.contributors());
  inquiry.pull.verified = true;
  co_return content;
}

/// Asks for a blob from its first byte on.
awaitable<Result<Found>> send_blob(Inquiry& inquiry, const Digest& digest) {
  auto& parts = inquiry.parts;
  for (unsigned attempt = 0; attempt < parts.options.attempts; ++attempt) {
    auto stream = co_await parts.fetcher.open(content_request(inquiry, digest), 0,
                                              origin_continuation(inquiry, digest));
    if (!stream) co_return is_cancelled(stream.error()) ? Result<Found>(stream.error()) : Found::no;
    CO_TRY(const auto permission, co_await may_have(inquiry, digest));
    if (permission == Permission::withheld) co_return Found::no;
    const auto size = stream->size();
    if (size > parts.options.verify_whole || parts.held + size > parts.options.verify_budget) {
      inquiry.pull.source = PullSource::peer;
      CO_CHECK(co_await send_with_tail_held(inquiry, digest, *stream));
      co_return Found::yes;
    }
    auto content = co_await collect_verified(inquiry, digest, *stream);
    if (content) {
      CO_CHECK(co_await answer_with(inquiry, digest, *std::move(content)));
      co_return Found::yes;
    }
    if (content.error() != Errc::bad_message) {
      co_return is_cancelled(content.error()) ? Result<Found>(content.error()) : Found::no;
    }
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

awaitable<Result<std::string>> verified_from_peers(Inquiry& inquiry, const Digest& digest,
                                                   std::size_t limit) {
  auto& parts = inquiry.parts;
  for (unsigned attempt = 0; attempt < parts.options.attempts; ++attempt) {
    auto stream = co_await parts.fetcher.open(content_request(inquiry, digest), 0, {});
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
  if (!range || (range->first == 0U && !range->last)) co_return co_await send_blob(inquiry, digest);
  if (!range->first) co_return Found::no;  // of the end: the size isn't known
  co_return co_await send_part(inquiry, digest, *range->first);
}

}  // namespace hagring::registry
