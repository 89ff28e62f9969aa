// SPDX-License-Identifier: Apache-2.0
#include "registry/stream_answer.hpp"

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

/// The next bytes of a stream that must not have ended, as far as `into` takes them.
awaitable<Result<ByteView>> next_piece(Inquiry& inquiry, ContentStream& stream, MutableBytes into) {
  const auto size = co_await stream.read(into);
  inquiry.pull.peers = joined(stream.contributors());
  if (!size || *size == 0) {
    inquiry.pull.note = fmt::format("no source is left at byte {}", stream.offset());
    co_return size ? make_error_code(Errc::unavailable) : size.error();
  }
  co_return into.first(*size);
}

/// Notes that what came isn't what the digest says.
void blame(Inquiry& inquiry, const Digest& digest, const ContentStream& stream) {
  const auto peers = stream.contributors();
  log::warning("mirror", "{} from {} is not what its digest says: asking elsewhere",
               digest.to_string(), joined(peers));
  // Of a herd's content those that passed it on have checked it, and who fetched it may have been
  // given it so: the right bytes will show that (herd::Evidence).
  const auto& senders = stream.senders();
  const bool alone = senders.size() == 1 && !stream.origin_contributed() && !stream.was_shared();
  inquiry.parts.conduct.wrong_digest(digest, senders, alone);
  inquiry.pull.note = "wrong content from " + joined(peers);
}

awaitable<void> abort_ingest(Inquiry& inquiry, const Digest& digest) {
  auto& parts = inquiry.parts;
  const auto aborted = co_await with_deadline(parts.clock, parts.options.abort_ingest,
                                              parts.store.abort_ingest(digest));
  if (aborted) co_return;
  log::warning("mirror", "the runtime may keep wrong bytes of {} until it collects garbage: {}",
               digest.to_string(), aborted.error().message());
}

/// What the digest says of all the bytes that have come. Errors: Errc::bad_message when peers are
/// to blame; the origin's own wrong bytes are the runtime's to refuse, as they would be without us.
awaitable<Result<void>> judge(Inquiry& inquiry, const Digest& digest, const ContentStream& stream,
                              const Hasher& hasher) {
  inquiry.pull.verified = digest.matches(hasher);
  if (inquiry.pull.verified) co_return Result<void>();
  if (stream.contributors().empty()) {
    log::warning("mirror", "{}: what the origin sends is not what its digest says",
                 digest.to_string());
    inquiry.pull.note = "wrong content from the origin";
    co_return Result<void>();
  }
  blame(inquiry, digest, stream);
  co_await abort_ingest(inquiry, digest);
  co_return Errc::bad_message;
}

awaitable<Result<std::string>> collect(Inquiry& inquiry, ContentStream& stream) {
  std::string content;
  Bytes buffer(std::min<std::uint64_t>(kPiece, stream.size() + 1));
  while (stream.offset() < stream.end()) {
    CO_TRY(const auto piece, co_await next_piece(inquiry, stream, buffer));
    // It grows with what has come, not with what was announced.
    content.append(as_text(piece));
  }
  CO_CHECK(co_await stream.read(buffer));
  co_return content;
}

}  // namespace

awaitable<Result<void>> send_whole(Inquiry& inquiry, const Digest& digest, ContentStream& stream) {
  const bool manifest =
      inquiry.route.kind == Route::Kind::manifest && stream.size() <= kMaxManifestBytes;
  const auto held = manifest
                        ? stream.size()
                        : std::min<std::uint64_t>(inquiry.parts.options.held_tail, stream.size());
  const auto tail_begin = stream.size() - held;
  const Held budget(inquiry.parts.held, held);
  Hasher hasher(digest.algorithm());
  std::string tail;
  Bytes buffer(std::min<std::uint64_t>(kPiece, stream.size() + 1));
  while (stream.offset() < stream.end()) {
    const bool of_tail = stream.offset() >= tail_begin;
    const auto most = of_tail ? buffer.size() : tail_begin - stream.offset();
    const auto into = MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), most));
    CO_TRY(const auto piece, co_await next_piece(inquiry, stream, into));
    hasher.update(piece);
    if (manifest || (of_tail && !stream.contributors().empty())) {
      tail.append(as_text(piece));
    } else {
      CO_CHECK(co_await inquiry.answer.body(piece));
    }
  }
  CO_CHECK(co_await stream.read(buffer));
  CO_CHECK(co_await judge(inquiry, digest, stream, hasher));
  if (manifest && inquiry.pull.verified) co_await note_manifest(inquiry, digest, tail);
  CO_CHECK(co_await inquiry.answer.body(as_bytes(tail)));
  co_return co_await inquiry.answer.finish();
}

awaitable<Result<void>> send_part(Inquiry& inquiry, ContentStream& stream) {
  Bytes buffer(std::min<std::uint64_t>(kPiece, stream.end() - stream.offset()));
  while (stream.offset() < stream.end()) {
    CO_TRY(const auto piece, co_await next_piece(inquiry, stream, buffer));
    CO_CHECK(co_await inquiry.answer.body(piece));
  }
  CO_CHECK(co_await stream.read(buffer));
  co_return co_await inquiry.answer.finish();
}

awaitable<Result<std::string>> collect_verified(Inquiry& inquiry, const Digest& digest,
                                                ContentStream& stream) {
  const Held budget(inquiry.parts.held, stream.size());
  auto content = co_await collect(inquiry, stream);
  if (!content) co_return content.error();
  if (!is_content(digest, *content)) {
    blame(inquiry, digest, stream);
    co_return Errc::bad_message;
  }
  inquiry.pull.source = PullSource::peer;
  inquiry.pull.verified = true;
  co_return content;
}

Continuation origin_continuation(Inquiry& inquiry, const Digest& digest) {
  if (inquiry.rule.tags == TagOrder::peers_only) return {};
  return [&inquiry, digest](ByteRange range, bool others) -> awaitable<Result<Exchange>> {
    auto request = forwarded(inquiry.request);
    request.headers.erase("If-Range");
    request.headers.set("Range", range.to_string());
    auto exchange =
        co_await inquiry.parts.origin.read(inquiry.origin, std::move(request), {.others = others});
    if (exchange) note_answer(inquiry, digest, *exchange);
    co_return exchange;
  };
}

}  // namespace hagring::registry
