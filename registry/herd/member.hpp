// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <set>

#include "registry/herd/load.hpp"
#include "registry/herd/message.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::herd {

using std::chrono::milliseconds;

/// Timers and bounds of a member.
struct MemberOptions {
  /// A Join or Lost that isn't answered for this long: the next nearest node is asked. A message
  /// waits behind pieces in the queues of links that are full; one that stood in meanwhile has the
  /// blob fetched a second time.
  Duration join_wait = milliseconds(400);
  /// A parent that sends neither piece nor beat for this long is left. A disk that stalls, a loaded
  /// machine, or a piece on 2 Mbit/s (270 ms) mustn't look like death.
  Duration silent = milliseconds(500);
  /// A parent that says it has more, and sends none of it for this long, is left.
  Duration stuck = std::chrono::seconds(1);
  /// A parent that isn't heard of at all for this long after Subscribe is left: it may have to be
  /// connected to first.
  Duration first_word = milliseconds(500);
  /// After these many lost parents without a piece in between, the member gives up.
  unsigned most_lost = 8;
  /// A stripe that has got nothing for this long, whatever its parents say: the member gives up.
  Duration starved = std::chrono::seconds(20);
  /// A member whose client waits, and that streams less than `floor` bytes a second over
  /// `floor_window`, gives up: a slow head or parent binds nobody to its rate. Low on purpose: a
  /// node whose own link is slow gets nothing better from the origin, and takes it from all others.
  /// Three layers at a time on a fairly shared 2 Mbit/s come to 81 KiB/s each. 0: never.
  std::uint64_t floor = 64 * 1024;
  Duration floor_window = std::chrono::seconds(5);
  /// An origin that has sent nothing for this long is reported, and somebody else may fetch.
  Duration origin_stall = std::chrono::seconds(5);
  /// Children of one that has found the digest wrong get the rest from it for this long.
  Duration corrupt_linger = std::chrono::seconds(1);
  /// Without a byte after this time the member gives up: containerd 2.3 cuts requests that have no
  /// answer after 30 s, and the origin wants its time, too.
  Duration first_byte = std::chrono::seconds(8);
  /// How often all that may coordinate are asked, one after the other, by one that has something.
  unsigned most_rounds = 3;
  /// Joins that are passed on (Redirect) before the member insists.
  unsigned most_redirects = 4;
  /// It takes no more than so many children a unit: the coordinator counts, but one may come before
  /// another leaves, and where nodes that serve nobody abound the others have more to do.
  unsigned children_per_unit = 2;
};

/// What one node is in one herd when it joins.
struct MemberFacts {
  std::uint64_t size = 0;  ///< of the blob, 0 when not known yet
  bool whole = false;      ///< a manifest or a small blob: no streaming
  bool may_fetch = false;  ///< this node's own client is asking for the blob
  bool ahead = false;      ///< no client asks for the blob yet, but one is about to
  bool slow = false;
  std::uint8_t units = 2;  ///< half-rate children it would serve, 0 to 2
};

// --- What the executor is to do, in this order.

/// Send it to a node (which may be this very node: its own Coordinator).
struct Send {
  NodeId to;
  Message message;
};
/// Ask `parent` for a stripe's pieces from its index `next` on, over the peer port.
struct Subscribe {
  Stripe stripe = 0;
  NodeId parent = {};
  std::uint64_t next = 0;
};
/// Stop that; pieces that still come from it are of no use.
struct Unsubscribe {
  Stripe stripe = 0;
  NodeId parent = {};
};
/// Ask the origin for the blob from this byte to its end, with the own client's credentials. Pieces
/// that are held already come again, and are thrown away. Only ever with MemberFacts::may_fetch.
struct FetchOrigin {
  std::uint64_t epoch = 0;  ///< for Ledger::fetched
  std::uint64_t from = 0;
};
/// Stop that.
struct StopFetch {};
/// Get the finished blob at this node as from any provider; then finished() or holder_failed().
struct FetchHolder {
  NodeId node = {};
};
/// End this child's stream.
struct DropChild {
  Stripe stripe = 0;
  NodeId child = {};
};
/// The origin limits requests: the own client is to be told so, and to come again after this time.
/// The member has left the herd.
struct Refuse {
  Duration lasts{0};
};
/// The herd can't help: the own client's request goes on as if there were none, from the first byte
/// that is missing. Children are served on from what that brings (arrived). Comes once.
struct GiveUp {
  const char* why = "";  ///< for the log
};

using Action = std::variant<Send, Subscribe, Unsubscribe, FetchOrigin, StopFetch, FetchHolder,
                            DropChild, Refuse, GiveUp>;
using Actions = std::vector<Action>;

/// One node's part in one herd: pure logic. Each input returns what is to be done now; `tick` wants
/// to be called at `next_tick`. For one thread. The executor keeps the pieces (the spool), checks
/// them (Ledger) and moves them between nodes.
class Member {
 public:
  /// `load` is the node's, for all its members; it outlives them.
  Member(MemberOptions options, HerdId herd, NodeId self, MemberFacts facts, Load& load);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  /// Joins at the first of `coordinators`: the nodes nearest to the herd's place (Mesh::nearest),
  /// nearest first. With none, gives up at once.
  Actions start(std::vector<NodeId> coordinators, TimePoint now);

  /// A message for this herd. Orders of any but the coordinator that was joined are ignored.
  Actions receive(const NodeId& from, const Body& body, TimePoint now);

  /// The stream to a node on which orders come and go has ended, or couldn't be opened.
  Actions coordinator_lost(const NodeId& node, TimePoint now);

  /// Piece `index` of `stripe` is in the spool now, checked, whoever it came from. Pieces of a
  /// stripe come in order.
  Actions arrived(Stripe stripe, std::uint64_t index, TimePoint now);

  /// Some bytes of a piece came from a parent: a slow link isn't silence.
  void heard(Stripe stripe, const NodeId& parent, TimePoint now);

  /// A parent is alive, and has `has` pieces of this stripe itself. A parent sends this every 20 ms
  /// in which it sends nothing else.
  void beat(Stripe stripe, const NodeId& parent, std::uint64_t has, TimePoint now);

  /// The stream from a parent ended too early, it refused, or what it sent was false.
  Actions parent_lost(Stripe stripe, const NodeId& parent, LostWhy why, TimePoint now);

  /// The size of the blob, from the origin's answer or the manifest.
  void size_known(std::uint64_t size_bytes) { facts_.size = size_bytes; }

  /// The origin refused (401, 403, 404: `denied`) or failed in the middle.
  Actions origin_failed(bool denied, TimePoint now);
  /// The origin limits requests (429), and says or is taken to say for how long.
  Actions origin_limited(Duration lasts, TimePoint now);

  /// The node named by FetchHolder couldn't give the blob.
  Actions holder_failed(const NodeId& node, TimePoint now);

  /// A node asks for a stripe. False: refuse it (no room, or not in the herd any more). True: serve
  /// it, from the spool and as more arrives, until it leaves or DropChild.
  bool child_asks(Stripe stripe, const NodeId& child, TimePoint now);
  void child_left(Stripe stripe, const NodeId& child);

  /// A client is there, whom MemberFacts::ahead has waited for, or after all had gone, and, if
  /// `may_fetch`, has made this node one that may ask the origin.
  Actions client_came(bool may_fetch, TimePoint now);

  /// The own client has gone. A fetch goes on while there are children; else the member leaves.
  Actions client_gone(TimePoint now);

  /// The whole blob is there and its digest right; this node serves it as a finished one now. Worth
  /// keeping for a while (CoordinatorOptions::idle): late ones get it here, and it tells when the
  /// node's links are busy elsewhere. Then retire().
  Actions finished(TimePoint now);

  /// It is about to be deleted: the coordinator is told that nobody is served here any more, unless
  /// it is a small blob that this node holds.
  Actions retire();

  /// The whole blob is there, each piece as the head signed it, and the digest is wrong. Children
  /// get the rest all the same, no new ones come: with all of it from one head they know whose
  /// doing it is, with a part of another's that isn't certain.
  Actions corrupt(TimePoint now);

  /// Timers.
  Actions tick(TimePoint now);
  TimePoint next_tick() const;

  /// Nothing is to be done any more: neither own wishes nor children. The executor may delete it.
  bool over() const;
  bool fetching() const { return fetching_; }
  bool gave_up() const { return gave_up_; }
  const PerStripe& have() const { return have_; }
  const HerdId& herd() const { return herd_; }
  const NodeId& coordinator() const { return coordinator_; }
  /// Who fetches, by the coordinator's latest order; empty if none said so.
  const NodeId& head() const { return head_; }
  /// All that orders have named as heads, the latest last.
  const std::vector<NodeId>& heads() const { return heads_; }
  const NodeId& parent(Stripe stripe) const { return links_[stripe].parent; }
  std::size_t children(Stripe stripe) const;

 private:
  struct Link {
    NodeId parent = {};
    NodeId backup = {};
    TimePoint since{};        ///< subscribed
    TimePoint heard{};        ///< the last piece or beat
    TimePoint piece{};        ///< the last piece, from whomever
    TimePoint stuck_since{};  ///< the last time that the parent sent, or had nothing to send
    std::uint64_t has = 0;    ///< what the parent said that it has
    bool spoke = false;
    bool asked = false;  ///< Lost was sent, and no order came yet
    TimePoint asked_at{};
  };
  struct Child {
    NodeId node;
    Stripe stripe = 0;
    TimePoint since{};
  };
  enum class State : std::uint8_t { joining, waiting, streaming, fetching, holder, alone, ended };

  void join(TimePoint now, Actions& actions);
  void next_coordinator(TimePoint now, Actions& actions);
  void send(Body body, Actions& actions) const;
  void take(const Redirect& order, TimePoint now, Actions& actions);
  void take(const Fetch& order, TimePoint now, Actions& actions);
  void take(const Stream& order, TimePoint now, Actions& actions);
  void take(const Wait& order, TimePoint now, Actions& actions);
  void take(const Relieve& order, TimePoint now, Actions& actions);
  void take(const Holder& order, TimePoint now, Actions& actions);
  template <typename Other>
  void take(const Other&, TimePoint, Actions&) {}
  void follow(const Source& source, TimePoint now, Actions& actions);
  void subscribe(Stripe stripe, const NodeId& parent, TimePoint now, Actions& actions);
  void lose(Stripe stripe, LostWhy why, TimePoint now, Actions& actions);
  void leave_parents(Actions& actions);
  void stop_fetch(Actions& actions);
  void give_up(const char* why, Actions& actions);
  void end(Outcome outcome, Actions& actions);
  void end_corrupt(TimePoint now, Actions& actions);
  Actions fetch_ended(Ended how, TimePoint now);
  void watch_parents(TimePoint now, Actions& actions);
  void watch_waits(TimePoint now, Actions& actions);
  void watch_rate(TimePoint now, Actions& actions);
  bool needed() const;
  bool complete(Stripe stripe) const;
  bool orphaned(Stripe stripe) const;
  Progress progress(TimePoint now);
  bool busy() const { return load_.children() > children_.size(); }
  void drop_children(Actions& actions);
  void avoid(const NodeId& node);
  void hear_of_head(const NodeId& node);
  void hear_of_former(const NodeId& node);
  bool forget_former();

  MemberOptions options_;
  HerdId herd_;
  NodeId self_;
  MemberFacts facts_;
  State state_ = State::joining;
  bool fetching_ = false;
  bool gave_up_ = false;
  bool client_gone_ = false;
  bool insist_ = false;
  bool retired_ = false;
  bool whole_ = false;       ///< it has all of it, verified
  bool left_ = false;        ///< the coordinator knows that it goes its own way
  bool stall_told_ = false;  ///< the origin's silence was reported
  unsigned redirects_ = 0;
  unsigned lost_ = 0;  ///< parents, since the last piece
  std::uint64_t epoch_ = 0;
  PerStripe have_{};
  std::array<Link, kStripes> links_;
  std::vector<Child> children_;
  NodeId head_ = {};
  std::vector<NodeId> heads_;
  std::vector<NodeId> only_former_;  ///< those of them that no order has named as the head
  NodeId coordinator_ = {};
  std::vector<NodeId> all_;     ///< that may coordinate, nearest first
  std::vector<NodeId> ranked_;  ///< those of them not asked yet
  unsigned rounds_ = 0;         ///< how often all of them were asked
  std::vector<NodeId> avoid_;
  bool answered_ = false;  ///< by the coordinator, since the last Join
  TimePoint started_{};
  TimePoint joined_{};
  TimePoint heard_{};                    ///< of the coordinator
  TimePoint origin_{};                   ///< the last piece while fetching
  TimePoint limited_until_{};            ///< so long nobody asks the origin
  std::optional<TimePoint> corrupt_at_;  ///< the digest was wrong, which isn't told yet
  TimePoint floor_since_{};              ///< since then less than a window's worth has come
  std::uint64_t floor_bytes_ = 0;        ///< so much
  TimePoint ticked_{};
  TimePoint reported_at_{};
  Duration progress_every_ = milliseconds(50);
  PerStripe reported_{};
  bool reported_busy_ = false;
  Load& load_;
};

}  // namespace hagring::herd
