// SPDX-License-Identifier: Apache-2.0
// Whose child a member becomes.
#include <algorithm>
#include <climits>
#include <tuple>

#include "registry/herd/shape.hpp"

namespace hagring::herd {
namespace {

/// A parent that is this many pieces behind is still in step: it gets its own soon.
constexpr double kInStep = 1;
/// The rate taken for one that hasn't told its own: pieces of a stripe a second (60 Mbit/s).
constexpr double kUnknownRate = 100;

/// Seconds until `parent` has what `child` lacks.
double lag(const Place& parent, const Place& child, Stripe stripe, TimePoint now) {
  const double pieces = static_cast<double>(child.have[stripe]) - parent.position(stripe, now);
  if (pieces <= kInStep || parent.head) return 0;
  return pieces / std::max(parent.rate[stripe], kUnknownRate);
}

}  // namespace

bool Shape::may_feed(const Place& parent, const Place& child, Stripe stripe) const {
  if (&parent == &child || parent.suspect || parent.ghost || parent.units == 0) return false;
  // Slow ones feed slow ones: they form the edge.
  if (parent.slow && !child.slow && !parent.head) return false;
  const bool flows =
      parent.head || parent.done || parent.complete[stripe] || parent.parents[stripe] != nullptr;
  if (!flows || below(parent, child, stripe)) return false;
  return std::find(child.avoid.begin(), child.avoid.end(), parent.id) == child.avoid.end();
}

std::size_t Shape::free_units(const Place& place, Stripe stripe, bool cross) {
  const std::size_t used = place.used();
  if (used >= place.units) return 0;
  const std::size_t free = place.units - used;
  if (place.done) return free;
  if (place.head) {
    // One child in each stripe.
    if (place.children[stripe].empty()) return 1;
    return cross && place.units > kStripes ? free : 0;
  }
  return cross || place.group == stripe ? free : 0;
}

std::int64_t Shape::spare(Stripe stripe, const Place& except) const {
  std::int64_t sum = 0;
  for (const Place* place : spare_) {
    if (!place->slow && place != &except)
      sum += static_cast<std::int64_t>(free_units(*place, stripe, false));
  }
  return sum;
}

Place* Shape::with_spare(const Place& child, Stripe stripe, bool cross, bool lagging,
                         TimePoint now) const {
  Place* best = nullptr;
  std::tuple<double, bool, int, unsigned, TimePoint::duration> best_rank;
  for (Place* place : spare_) {
    if (free_units(*place, stripe, cross) == 0 || !may_feed(*place, child, stripe)) continue;
    const double behind = lag(*place, child, stripe, now);
    if (behind > 0 && !lagging) continue;
    // Slow ones take no units; one each is what a node has to spare for them.
    if (child.slow && !place->slow && place->slow_children() > 0) continue;
    // A finished one that feeds nobody has its whole uplink to give; one that feeds others would
    // give what these have. Slow ones spare others' units.
    const bool free = place->used() == 0 && !place->busy;
    const int busy = !place->done ? 1 : free ? 0 : 2;
    unsigned depth = place->done ? 0 : place->depth[stripe];
    if (child.slow) depth = UINT_MAX - depth;  // leave the upper places to others
    const std::tuple rank(behind, child.slow && !place->slow, busy, depth,
                          -place->joined.time_since_epoch());
    if (best != nullptr && best_rank <= rank) continue;
    best = place;
    best_rank = rank;
  }
  return best;
}

/// One that has units takes the place of a leaf that has hardly begun, and feeds that: what can
/// feed others belongs above what can't, or each stripe becomes a chain. `below` is the depth that
/// it would have otherwise.
bool Shape::push_down_fresh(Place& place, Stripe stripe, unsigned below_depth, TimePoint now) {
  while (!fresh_.empty() && now - fresh_.front()->joined > fresh_time_) {
    --fresh_.front()->fresh;
    fresh_.pop_front();
  }
  if (free_units(place, stripe, false) == 0 || place.have[stripe] > 0 || place.slow) return false;
  Place* best = nullptr;
  std::tuple<bool, unsigned> best_rank;
  for (Place* leaf : fresh_) {
    Place* parent = leaf->parents[stripe];
    if (leaf == &place || parent == nullptr || !leaf->children[stripe].empty()) continue;
    // A slow one's place isn't a whole one.
    if (!may_feed(*parent, place, stripe) || leaf->slow) continue;
    if (leaf->depth[stripe] >= below_depth) continue;
    // One of the other group stays a leaf here anyway.
    const std::tuple rank(leaf->group == stripe, leaf->depth[stripe]);
    if (best != nullptr && best_rank <= rank) continue;
    best = leaf;
    best_rank = rank;
  }
  if (best == nullptr) return false;
  Place& parent = *best->parents[stripe];
  unlink(*best, stripe);
  link(place, stripe, parent);
  link(*best, stripe, place);
  return true;
}

/// For one that finds no unit outside its own tree: it takes a leaf's place, and the leaf goes
/// where the unit is.
bool Shape::push_down_any(Place& place, Stripe stripe, TimePoint now) {
  Place* best = nullptr;
  std::tuple<double, unsigned> best_rank;
  for (const auto& [id, leaf] : places_) {
    Place* parent = leaf->parents[stripe];
    if (leaf.get() == &place || parent == nullptr || !leaf->children[stripe].empty()) continue;
    if (leaf->complete[stripe] || below(*leaf, place, stripe)) continue;
    if (!may_feed(*parent, place, stripe) || leaf->slow != place.slow) continue;
    const std::tuple rank(lag(*parent, place, stripe, now), leaf->depth[stripe]);
    if (best != nullptr && best_rank <= rank) continue;
    best = leaf.get();
    best_rank = rank;
  }
  if (best == nullptr) return false;
  Place& parent = *best->parents[stripe];
  unlink(*best, stripe);
  link(place, stripe, parent);
  Place* other = with_spare(*best, stripe, true, true, now);
  if (other == nullptr) {
    link(*best, stripe, parent);
    unlink(place, stripe);
    return false;
  }
  link(*best, stripe, *other);
  return true;
}

Place* Shape::least_loaded(const Place& child, Stripe stripe, TimePoint now) const {
  Place* best = nullptr;
  std::tuple<double, std::size_t, unsigned> best_rank;
  for (const auto& [id, place] : places_) {
    if (!may_feed(*place, child, stripe)) continue;
    const std::size_t load = child.slow ? place->slow_children() : place->used();
    const std::tuple rank(lag(*place, child, stripe, now), load, place->depth[stripe]);
    if (best != nullptr && best_rank <= rank) continue;
    best = place.get();
    best_rank = rank;
  }
  return best;
}

bool Shape::attach(Place& place, Stripe stripe, TimePoint now) {
  unlink(place, stripe);
  Place* parent = with_spare(place, stripe, false, false, now);
  const unsigned depth = parent == nullptr ? UINT_MAX : parent->depth[stripe] + 1;
  if (push_down_fresh(place, stripe, depth, now)) return true;
  if (parent == nullptr) parent = with_spare(place, stripe, true, false, now);
  if (parent == nullptr && push_down_any(place, stripe, now)) return true;
  if (parent == nullptr) parent = with_spare(place, stripe, true, true, now);
  if (parent == nullptr) parent = least_loaded(place, stripe, now);
  if (parent == nullptr) return false;
  link(place, stripe, *parent);
  return true;
}

bool Shape::improve(Place& place, Stripe stripe, TimePoint now) {
  Place* best = nullptr;
  for (Place* other : spare_) {
    if (!other->done || other->busy || other->used() > 0 || !may_feed(*other, place, stripe))
      continue;
    // The one that was given a child the longest time ago.
    if (best == nullptr || other->moved < best->moved) best = other;
  }
  if (best == nullptr || best == place.parents[stripe]) return false;
  best->moved = now;
  link(place, stripe, *best);
  return true;
}

void Shape::place(Place& place, TimePoint now) {
  place.group = spare(0, place) <= spare(1, place) ? 0 : 1;
  const auto other = static_cast<Stripe>(1 - place.group);
  attach(place, other, now);
  attach(place, place.group, now);
  fresh_.push_back(&place);
  ++place.fresh;
}

void Shape::slow_down(Place& place, TimePoint now) {
  place.slow = true;
  for (Stripe s = 0; s < kStripes; ++s) {
    if (place.parents[s] != nullptr) note_spare(*place.parents[s]);
    const auto children = place.children[s];
    for (Place* child : children) {
      if (!child->slow) attach(*child, s, now);
    }
  }
}

void Shape::shed(Place& place, TimePoint now) {
  while (place.used() > place.units) {
    const Stripe stripe = place.children[0].size() > place.children[1].size() ? 0 : 1;
    // The one that feeds fewest, for its tree moves with it.
    auto& children = place.children[stripe];
    Place* child = *std::min_element(children.begin(), children.end(), [&](auto* a, auto* b) {
      return a->children[stripe].size() < b->children[stripe].size();
    });
    unlink(*child, stripe);
    Place* parent = with_spare(*child, stripe, true, false, now);
    if (parent == nullptr) {
      link(*child, stripe, place);  // nobody has room: too much is better than nothing
      return;
    }
    link(*child, stripe, *parent);
  }
}

}  // namespace hagring::herd
