// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/message.hpp"

#include "registry/herd/codec.hpp"

namespace hagring::herd {
namespace {

constexpr std::uint64_t kMaxPieces = pieces_of(kMaxBlob);
constexpr std::uint64_t kAny = UINT64_MAX;
/// Nobody needs Progress more rarely.
constexpr std::uint64_t kMaxProgressMs = 60'000;
/// `sha512:` and 128 digits.
constexpr std::size_t kMaxDigest = 135;

const auto write_node = [](const NodeId& node) {
  return Bytes(as_bytes(node).begin(), as_bytes(node).end());
};
const auto read_node = [](ByteView bytes, NodeId& node) {
  node = as_text(bytes);
  return !node.empty() && node.size() <= kMaxNodeId;
};

// Each describe names a struct's fields once, for FieldWriter and for FieldReader.

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Join>
void describe(Codec& codec, T& join) {
  codec.number(1, join.size, kMaxBlob);
  codec.number(2, join.whole, 1);
  codec.number(3, join.may_fetch, 1);
  codec.number(4, join.fetching, 1);
  codec.number(5, join.slow, 1);
  codec.number(6, join.units, 2);
  codec.number(7, join.insist, 1);
  codec.number(8, join.epoch, kAny);
  codec.per_stripe(9, join.have, kMaxPieces);
  for (std::size_t s = 0; s < kStripes; ++s) {
    codec.text(11 + static_cast<std::uint32_t>(s), join.parents[s], kMaxNodeId);
  }
  codec.number(14, join.done, 1);
  codec.list(13, join.avoid, kMaxNodesInMessage, write_node, read_node);
  codec.text(15, join.head, kMaxNodeId);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Progress>
void describe(Codec& codec, T& progress) {
  codec.per_stripe(1, progress.have, kMaxPieces);
  codec.number(3, progress.size, kMaxBlob);
  codec.number(4, progress.peak_in, kAny);
  codec.number(5, progress.client_gone, 1);
  codec.number(6, progress.idle, 100);
  codec.number(7, progress.busy, 1);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Lost>
void describe(Codec& codec, T& lost) {
  codec.number(1, lost.stripe, kStripes - 1);
  codec.text(2, lost.parent, kMaxNodeId, 1);
  codec.number(3, lost.why, static_cast<std::uint64_t>(LostWhy::lied), 1);
  codec.per_stripe(4, lost.have, kMaxPieces);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Ended>
void describe(Codec& codec, T& ended) {
  codec.number(1, ended.outcome, static_cast<std::uint64_t>(Outcome::limited), 1);
  codec.number(2, ended.limited_ms, kMaxLimitedMs);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Redirect>
void describe(Codec& codec, T& redirect) {
  codec.text(1, redirect.to, kMaxNodeId, 1);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Fetch>
void describe(Codec& codec, T& fetch) {
  codec.number(1, fetch.epoch, kAny);
  codec.number(2, fetch.from, kMaxBlob);
  codec.number(3, fetch.progress_ms, kMaxProgressMs, 1);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Source>
void describe(Codec& codec, T& source) {
  codec.number(1, source.stripe, kStripes - 1);
  codec.text(2, source.parent, kMaxNodeId, 1);
  codec.text(3, source.backup, kMaxNodeId);
}

const auto write_source = [](const Source& source) {
  FieldWriter writer;
  describe(writer, source);
  return writer.take();
};
const auto read_source = [](ByteView bytes, Source& source) {
  FieldReader reader(bytes);
  describe(reader, source);
  return reader.good();
};

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Stream>
void describe(Codec& codec, T& stream) {
  codec.number(1, stream.epoch, kAny);
  codec.text(2, stream.head, kMaxNodeId);
  codec.number(3, stream.size, kMaxBlob);
  codec.number(4, stream.group, kStripes - 1);
  codec.number(5, stream.progress_ms, kMaxProgressMs, 1);
  codec.list(6, stream.sources, kStripes, write_source, read_source);
  codec.list(7, stream.former, kMaxHeads, write_node, read_node);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Wait>
void describe(Codec& codec, T& wait) {
  codec.number(1, wait.epoch, kAny);
  codec.number(2, wait.limited_ms, kMaxLimitedMs);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Relieve>
void describe(Codec& codec, T& relieve) {
  codec.number(1, relieve.stripe, kStripes - 1);
  codec.text(2, relieve.child, kMaxNodeId, 1);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Holder>
void describe(Codec& codec, T& holder) {
  codec.text(1, holder.node, kMaxNodeId, 1);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Probe>
void describe(Codec& codec, T& probe) {
  codec.number(1, probe.epoch, kAny);
  codec.text(2, probe.head, kMaxNodeId);
}

template <typename Codec, typename T>
  requires std::same_as<std::remove_const_t<T>, Note>
void describe(Codec& codec, T& note) {
  codec.number(1, note.epoch, kAny);
  codec.text(2, note.head, kMaxNodeId);
  codec.number(3, note.members, UINT32_MAX);
}

// The envelope's fields; a body's number on the wire is its place in Body, from 1.
enum : std::uint32_t { kDigestField = 1, kZoneField = 2, kKindField = 3, kBodyField = 4 };

template <std::size_t I = 0>
bool read_body(std::size_t kind, ByteView bytes, Body& body) {
  if constexpr (I == std::variant_size_v<Body>) {
    return false;
  } else {
    if (kind != I) return read_body<I + 1>(kind, bytes, body);
    FieldReader reader(bytes);
    describe(reader, body.emplace<I>());
    return reader.good();
  }
}

/// A move for the same stripe twice would leave it open which one counts.
bool consistent(const Body& body) {
  const auto* stream = std::get_if<Stream>(&body);
  return stream == nullptr || stream->sources.size() < 2 ||
         stream->sources[0].stripe != stream->sources[1].stripe;
}

}  // namespace

bool for_coordinator(const Body& body) {
  return std::holds_alternative<Join>(body) || std::holds_alternative<Progress>(body) ||
         std::holds_alternative<Lost>(body) || std::holds_alternative<Ended>(body) ||
         std::holds_alternative<Probe>(body) || std::holds_alternative<Note>(body);
}

std::string_view name_of(const Body& body) {
  static constexpr std::array<std::string_view, std::variant_size_v<Body>> kNames = {
      "join",   "progress", "lost",    "ended",  "redirect", "fetch",
      "stream", "wait",     "relieve", "holder", "probe",    "note"};
  return kNames[body.index()];
}

Bytes encode(const Message& message) {
  FieldWriter body;
  std::visit([&](const auto& each) { describe(body, each); }, message.body);
  FieldWriter writer;
  writer.text(kDigestField, message.herd.digest.to_string(), kMaxDigest);
  writer.text(kZoneField, message.herd.zone, kMaxZone);
  writer.number(kKindField, message.body.index() + 1, kAny);
  writer.bytes(kBodyField, body.take(), kMaxMessage);
  return writer.take();
}

Result<Message> decode(ByteView bytes) {
  if (bytes.size() > kMaxMessage) return Errc::too_large;
  FieldReader reader(bytes);
  std::string digest_text;
  std::string zone;
  std::size_t kind = 0;
  Bytes body_bytes;
  reader.text(kDigestField, digest_text, kMaxDigest, 1);
  reader.text(kZoneField, zone, kMaxZone);
  reader.number(kKindField, kind, std::variant_size_v<Body>, 1);
  reader.bytes(kBodyField, body_bytes, kMaxMessage);
  if (!reader.good() || zone.find('\0') != std::string::npos) return Errc::bad_message;
  auto digest = Digest::parse(digest_text);
  if (!digest) return Errc::bad_message;
  Message message{{*std::move(digest), std::move(zone)}, {}};
  if (!read_body(kind - 1, body_bytes, message.body)) return Errc::bad_message;
  if (!consistent(message.body)) return Errc::bad_message;
  return message;
}

}  // namespace hagring::herd
