// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>
#include <variant>
#include <vector>

#include "registry/herd/herd_id.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::herd {

/// The libp2p protocol that carries the messages below, each with its length before it as a varint.
/// One stream a pair of nodes, opened by the one that joins (or probes), both ways, for all herds;
/// an open stream is the lease: when it closes, the coordinator forgets the node's memberships.
inline constexpr std::string_view kHerdProtocol = "/hagring/herd/1";

/// No message is longer.
inline constexpr std::size_t kMaxMessage = 4096;
/// The most nodes that a list in a message has.
inline constexpr std::size_t kMaxNodesInMessage = 16;
/// The largest blob that is taken for real.
inline constexpr std::uint64_t kMaxBlob = std::uint64_t{1} << 40;

/// Nobody is sent away for longer because an origin limits requests.
inline constexpr std::uint32_t kMaxLimitedMs = 60'000;

/// How long a limit lasts, for a message.
inline std::uint32_t limited_ms(Duration lasts) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(lasts).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, kMaxLimitedMs));
}

/// No higher epoch is believed: one that makes up the highest of all would make them wrap.
inline constexpr std::uint64_t kMaxEpoch = std::uint64_t{1} << 48;

/// Why a parent is lost.
enum class LostWhy : std::uint8_t {
  closed = 1,  ///< the connection ended, or couldn't be made
  refused,     ///< it has no room, or doesn't know the blob
  silent,      ///< neither piece nor beat for MemberOptions::silent
  stuck,       ///< it says that it has more, and doesn't send it
  lied,        ///< a piece of its didn't match the head's signed hashes
};

/// How a member's part ended.
enum class Outcome : std::uint8_t {
  whole = 1,      ///< it has all of it, verified; it serves it as a finished blob
  left,           ///< it isn't interested any more, or goes its own way
  denied,         ///< the origin refused it (401, 403, 404): it may fetch no more
  origin_failed,  ///< the origin failed or stalled for it: somebody else may have more luck
  corrupt,        ///< all pieces were signed by the head, and the digest is wrong
  limited,        ///< the origin limits requests (429)
};

// --- From a member to the coordinator.

/// Asks to be told where to get the blob from; or, at a stand-in, tells what its sender has.
struct Join {
  std::uint64_t size = 0;   ///< of the blob in bytes, 0 when not known yet
  bool whole = false;       ///< small: no streaming, one GET, the others wait for it
  bool may_fetch = false;   ///< its own client asks for the blob with its own credentials
  bool fetching = false;    ///< it is fetching from the origin right now
  bool done = false;        ///< it has all of it, verified, and serves it
  bool slow = false;        ///< it was slower than others before: put it at the edge
  std::uint8_t units = 2;   ///< half-rate children that it would serve, 0 to 2 (upload caps)
  bool insist = false;      ///< redirected too often: take it in, whoever is nearer
  std::uint64_t epoch = 0;  ///< the latest one it knows, 0 for none
  PerStripe have = {};      ///< pieces of each stripe that it has, without a gap
  std::array<NodeId, kStripes> parents = {};  ///< whom it streams from now
  std::vector<NodeId> avoid = {};             ///< coordinators and holders that failed it
  NodeId head = {};  ///< who fetches, as it was told by another coordinator

  bool operator==(const Join&) const = default;
};

/// What a member has now. Sent as often as the coordinator's Stream or Fetch said.
struct Progress {
  PerStripe have = {};
  std::uint64_t size = 0;     ///< as in Join
  std::uint64_t peak_in = 0;  ///< the most that its node took in so far, in bytes a second
  std::uint8_t idle = 0;      ///< percent of that which it doesn't take in now
  bool busy = false;          ///< its node feeds children in other herds
  bool client_gone = false;   ///< its own client has gone: it serves its children only

  bool operator==(const Progress&) const = default;
};

/// A parent is lost; its sender needs another.
struct Lost {
  Stripe stripe = 0;
  NodeId parent = {};
  LostWhy why = LostWhy::closed;
  PerStripe have = {};

  bool operator==(const Lost&) const = default;
};

/// The sender's part is over.
struct Ended {
  Outcome outcome = Outcome::whole;
  std::uint32_t limited_ms = 0;  ///< how long the limit lasts, by the origin's word or ours

  bool operator==(const Ended&) const = default;
};

// --- From the coordinator to a member.

/// Somebody nearer coordinates: join there.
struct Redirect {
  NodeId to = {};

  bool operator==(const Redirect&) const = default;
};

/// Fetch from the origin, from this byte to the end. Its receiver is the head of this epoch.
struct Fetch {
  std::uint64_t epoch = 0;
  std::uint64_t from = 0;
  std::uint32_t progress_ms = 50;  ///< how often to send Progress

  bool operator==(const Fetch&) const = default;
};

/// Where one stripe comes from.
struct Source {
  Stripe stripe = 0;
  NodeId parent = {};
  NodeId backup = {};  ///< asked at once when the parent is lost; may be none

  bool operator==(const Source&) const = default;
};

/// Heads of a herd that its members are told of: the latest.
inline constexpr std::size_t kMaxHeads = 8;

/// Stream from these nodes, and leave the former parents of the same stripes. A first Stream has a
/// source for each stripe, later ones (a move) for one or both, or for none: another head signs
/// from now on. To a node that fetches it means: stop that.
struct Stream {
  std::uint64_t epoch = 0;
  NodeId head = {};  ///< who fetches in this epoch, and signs
  std::uint64_t size = 0;
  Stripe group = 0;  ///< the stripe in which its receiver has children
  std::uint32_t progress_ms = 50;
  std::vector<Source> sources = {};
  std::vector<NodeId> former = {};  ///< who fetched before, and signed what is passed on still

  bool operator==(const Stream&) const = default;
};

/// Nothing to get it from yet: wait, there will be a Fetch, Stream or Holder. Repeated each second.
struct Wait {
  std::uint64_t epoch = 0;
  /// The origin limits requests, and nobody asks it for this long: a client that has nothing yet is
  /// to be told. 0: it doesn't.
  std::uint32_t limited_ms = 0;

  bool operator==(const Wait&) const = default;
};

/// Serve this child no longer in this stripe: it has got another parent.
struct Relieve {
  Stripe stripe = 0;
  NodeId child = {};

  bool operator==(const Relieve&) const = default;
};

/// A node has the whole blob: get it there, as any finished blob.
struct Holder {
  NodeId node = {};

  bool operator==(const Holder&) const = default;
};

// --- Between coordinators.

/// Does its receiver coordinate this herd, too? Answered with a Note in any case.
struct Probe {
  std::uint64_t epoch = 0;
  NodeId head = {};

  bool operator==(const Probe&) const = default;
};

/// The sender coordinates this herd (members > 0) or doesn't.
struct Note {
  std::uint64_t epoch = 0;
  NodeId head = {};
  std::uint32_t members = 0;

  bool operator==(const Note&) const = default;
};

using Body = std::variant<Join, Progress, Lost, Ended, Redirect, Fetch, Stream, Wait, Relieve,
                          Holder, Probe, Note>;

/// A message on the stream.
struct Message {
  HerdId herd;
  Body body;

  bool operator==(const Message&) const = default;
};

/// Whether the node's Coordinator takes it; otherwise it is for the Member of that herd.
bool for_coordinator(const Body& body);

/// The name of its kind, for logs and metrics: "join".
std::string_view name_of(const Body& body);

/// The message in protobuf's wire format, without a length before it.
Bytes encode(const Message& message);

/// Reads what encode writes; unknown fields are skipped. Errors: Errc::bad_message for anything
/// that isn't a message within the limits above, Errc::too_large for more than kMaxMessage bytes.
Result<Message> decode(ByteView bytes);

/// The message with its length before it, as it goes onto the stream.
Bytes encode_frame(const Message& message);

/// Takes messages out of a stream of bytes; holds one unfinished message at most.
class FrameReader {
 public:
  /// Appends bytes as they came, any number. The messages that are complete are added to `into`.
  /// Errors: as decode; the stream is of no use then.
  Result<void> take(ByteView bytes, std::vector<Message>& into);

  /// Bytes of a message that isn't complete.
  std::size_t held() const { return held_.size(); }

 private:
  Bytes held_;
};

}  // namespace hagring::herd
