// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "registry/herd/herd_id.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// A member, as the coordinator sees it. A unit is what feeds one child in one stripe.
struct Place {
  NodeId id;
  bool may_fetch = false;
  bool slow = false;
  bool ghost = false;    ///< known from others' re-joins only
  bool head = false;     ///< it fetches
  bool done = false;     ///< it has the whole blob
  bool busy = false;     ///< its node feeds others in other herds
  bool suspect = false;  ///< others lost it as a parent: nobody new is sent to it
  std::uint8_t units = 2;
  Stripe group = 0;
  TimePoint joined{};
  TimePoint heard{};
  TimePoint moved{};  ///< the last time that it got another parent
  PerStripe have{};
  TimePoint have_at{};
  std::uint64_t peak_in = 0;            ///< the most its node took in, bytes a second
  unsigned lagging = 0;                 ///< reports in a row in which it fell behind both parents
  std::array<double, kStripes> rate{};  ///< pieces of each stripe a second, lately
  std::array<Place*, kStripes> parents{};
  std::array<std::vector<Place*>, kStripes> children;
  std::array<unsigned, kStripes> depth{};
  std::array<bool, kStripes> changed{};    ///< it is to be told of another parent
  std::array<NodeId, kStripes> told = {};  ///< the parent that it was told, as far as it holds
  std::array<bool, kStripes> complete{};
  std::vector<NodeId> avoid = {};      ///< parents that it lost, the latest few
  TimePoint avoid_until{};             ///< then they may be tried again
  std::vector<NodeId> reporters = {};  ///< those that lost it as a parent of theirs, lately
  bool origin_failed = false;          ///< the origin failed for it
  NodeId holder = {};                  ///< small blobs: who gives it the blob
  std::size_t giving = 0;              ///< small blobs: how many it gives it to
  std::size_t fresh = 0;               ///< how often it is in the list of the fresh
  std::size_t spare_at = SIZE_MAX;     ///< its place in the list of those with units to spare

  /// Children that take a unit. Slow ones take so little that one more costs hardly anything.
  std::size_t used() const;
  std::size_t slow_children() const { return children[0].size() + children[1].size() - used(); }
  /// How many pieces of a stripe it has by now, if it went on as it did.
  double position(Stripe stripe, TimePoint now) const;
};

/// Who streams from whom: a tree for each stripe, over the same members. The head is the root of
/// each. Every other member is in a group, the stripe that it has children in, and a leaf in the
/// others (as in SplitStream), so that each sends about as much as it takes in. Where the two
/// groups' supply doesn't fit, a unit is used for the other stripe: what counts is the uplink.
class Shape {
 public:
  /// A leaf that joined within `fresh` may be pushed down by one that joins.
  explicit Shape(Duration fresh) : fresh_time_(fresh) {}

  Place* find(const NodeId& id) const;
  Place& add(const NodeId& id, TimePoint now);
  /// The same for a node that others stream from and that hasn't come itself.
  Place& add_ghost(const NodeId& id, TimePoint now);
  /// It has come itself.
  void embody(Place& place);
  std::size_t ghosts() const { return ghosts_; }
  /// Ghosts that nobody streams from any more.
  std::vector<NodeId> take_deserted() { return std::exchange(deserted_, {}); }
  /// Takes a member out. Those that streamed from it have no parent then: see orphans().
  void remove(Place& place);

  /// Gives a member that isn't the head a group and a parent for each stripe.
  void place(Place& place, TimePoint now);
  /// Gives it a parent in one stripe. False if there is nobody that could be.
  bool attach(Place& place, Stripe stripe, TimePoint now);
  /// Takes what a node says: it streams from `parent`, whether or not that has a unit to spare.
  /// False if that would close a circle.
  bool adopt(Place& place, Stripe stripe, Place& parent);
  void detach(Place& place, Stripe stripe);
  /// Gives a member that could take in more than its parent sends a parent that may send more: one
  /// that has the whole blob and feeds nobody here. False if there is none.
  bool improve(Place& place, Stripe stripe, TimePoint now);
  /// The member that fetches from now on, or none; it loses its parents.
  void set_head(Place* head);
  Place* head() const { return head_; }

  /// What it is worth as a parent has changed: done, slow, units, suspect.
  void revalue(Place& place) { note_spare(place); }
  /// A member was found to be slow: it goes to the edge, its children elsewhere.
  void slow_down(Place& place, TimePoint now);
  /// Takes children away from one that has more than it should, and finds them other parents.
  void shed(Place& place, TimePoint now);
  /// The same for all.
  void shed_all(TimePoint now);

  /// Members that want a stripe and have no parent for it.
  std::vector<std::pair<Place*, Stripe>> orphans() const;
  /// Members that are to be told of another parent since the last call.
  std::vector<Place*> take_changed();
  /// Whom to ask when the parent fails: the parent's parent, or nullptr.
  const Place* backup(const Place& place, Stripe stripe) const;
  /// Whether `place` is `above` itself or streams from it, at whatever distance.
  static bool below(const Place& place, const Place& above, Stripe stripe);

  std::size_t size() const { return places_.size(); }
  const std::unordered_map<NodeId, std::unique_ptr<Place>>& places() const { return places_; }

 private:
  bool may_feed(const Place& parent, const Place& child, Stripe stripe) const;
  static std::size_t free_units(const Place& place, Stripe stripe, bool cross);
  std::int64_t spare(Stripe stripe, const Place& except) const;
  Place* with_spare(const Place& child, Stripe stripe, bool cross, bool lagging,
                    TimePoint now) const;
  bool push_down_fresh(Place& place, Stripe stripe, unsigned below_depth, TimePoint now);
  bool push_down_any(Place& place, Stripe stripe, TimePoint now);
  Place* least_loaded(const Place& child, Stripe stripe, TimePoint now) const;
  void link(Place& child, Stripe stripe, Place& parent);
  void unlink(Place& child, Stripe stripe);
  void mark(Place& place, Stripe stripe);
  void note_spare(Place& place);
  static void set_depths(Place& root, Stripe stripe);

  Duration fresh_time_;
  std::unordered_map<NodeId, std::unique_ptr<Place>> places_;
  std::vector<Place*> spare_;  ///< those with a unit to spare
  std::deque<Place*> fresh_;   ///< in the order in which they joined
  std::vector<Place*> changed_;
  std::vector<NodeId> deserted_;
  std::size_t ghosts_ = 0;
  Place* head_ = nullptr;
};

}  // namespace hagring::herd
