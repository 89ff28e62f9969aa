// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/shape.hpp"

#include <algorithm>
#include <limits>

namespace hagring::herd {

namespace {

/// So many at a time: each of their children is a look at all that have units to spare.
constexpr std::size_t kMostShed = 64;

}  // namespace

double Place::position(Stripe stripe, TimePoint now) const {
  if (done) return std::numeric_limits<double>::max();
  const double seconds = std::chrono::duration<double>(now - have_at).count();
  return static_cast<double>(have[stripe]) + rate[stripe] * seconds;
}

std::size_t Place::used() const {
  const auto fast = [](const Place* child) { return !child->slow; };
  return static_cast<std::size_t>(std::count_if(children[0].begin(), children[0].end(), fast) +
                                  std::count_if(children[1].begin(), children[1].end(), fast));
}

Place* Shape::find(const NodeId& id) const {
  const auto found = places_.find(id);
  return found == places_.end() ? nullptr : found->second.get();
}

Place& Shape::add(const NodeId& id, TimePoint now) {
  auto& slot = places_[id];
  if (slot) return *slot;
  slot = std::make_unique<Place>();
  slot->id = id;
  slot->joined = slot->heard = slot->have_at = now;
  note_spare(*slot);
  return *slot;
}

Place& Shape::add_ghost(const NodeId& id, TimePoint now) {
  Place& place = add(id, now);
  ghosts_ += std::exchange(place.ghost, true) ? 0 : 1;
  return place;
}

void Shape::embody(Place& place) { ghosts_ -= std::exchange(place.ghost, false) ? 1 : 0; }

void Shape::remove(Place& place) {
  embody(place);
  for (Stripe s = 0; s < kStripes; ++s) {
    unlink(place, s);
    while (!place.children[s].empty()) unlink(*place.children[s].back(), s);
  }
  if (head_ == &place) head_ = nullptr;
  place.units = 0;
  note_spare(place);
  // Many may go at once: each must not search lists that it isn't in.
  if (place.fresh > 0) std::erase(fresh_, &place);
  if (place.changed[0] || place.changed[1]) std::erase(changed_, &place);
  places_.erase(NodeId(place.id));  // a copy: the node must not name itself while it goes
}

void Shape::mark(Place& place, Stripe stripe) {
  if (!place.changed[0] && !place.changed[1]) changed_.push_back(&place);
  place.changed[stripe] = true;
}

std::vector<Place*> Shape::take_changed() { return std::exchange(changed_, {}); }

void Shape::set_depths(Place& root, Stripe stripe) {
  std::vector<Place*> rest{&root};
  while (!rest.empty()) {
    Place* place = rest.back();
    rest.pop_back();
    const Place* parent = place->parents[stripe];
    place->depth[stripe] = parent == nullptr ? 0 : parent->depth[stripe] + 1;
    rest.insert(rest.end(), place->children[stripe].begin(), place->children[stripe].end());
  }
}

void Shape::link(Place& child, Stripe stripe, Place& parent) {
  unlink(child, stripe);
  child.parents[stripe] = &parent;
  parent.children[stripe].push_back(&child);
  set_depths(child, stripe);
  note_spare(parent);
  mark(child, stripe);
}

void Shape::unlink(Place& child, Stripe stripe) {
  Place* parent = std::exchange(child.parents[stripe], nullptr);
  if (parent == nullptr) return;
  std::erase(parent->children[stripe], &child);
  note_spare(*parent);
  const bool deserted = parent->children[0].empty() && parent->children[1].empty();
  if (parent->ghost && deserted) deserted_.push_back(parent->id);
}

void Shape::detach(Place& place, Stripe stripe) { unlink(place, stripe); }

bool Shape::below(const Place& place, const Place& above, Stripe stripe) {
  for (const Place* at = &place; at != nullptr; at = at->parents[stripe]) {
    if (at == &above) return true;
  }
  return false;
}

bool Shape::adopt(Place& place, Stripe stripe, Place& parent) {
  if (below(parent, place, stripe)) return false;
  link(place, stripe, parent);
  place.told[stripe] = parent.id;
  if (place.changed[stripe]) place.changed[stripe] = false;  // it is so already
  if (!place.changed[0] && !place.changed[1]) std::erase(changed_, &place);
  return true;
}

void Shape::set_head(Place* head) {
  if (head_ != nullptr && head_ != head) {
    head_->head = false;
    note_spare(*head_);
  }
  head_ = head;
  if (head == nullptr) return;
  for (Stripe s = 0; s < kStripes; ++s) {
    unlink(*head, s);
    set_depths(*head, s);
    head->changed[s] = false;
  }
  std::erase(changed_, head);
  head->head = true;
  note_spare(*head);
}

void Shape::note_spare(Place& place) {
  const bool has = place.used() < place.units && !place.suspect;
  if (has == (place.spare_at != SIZE_MAX)) return;
  if (has) {
    place.spare_at = spare_.size();
    spare_.push_back(&place);
    return;
  }
  spare_.back()->spare_at = place.spare_at;
  std::swap(spare_[place.spare_at], spare_.back());
  spare_.pop_back();
  place.spare_at = SIZE_MAX;
}

void Shape::shed_all(TimePoint now) {
  std::size_t looks = 0;
  for (const auto& [id, place] : places_) {
    if (place->used() <= place->units || place->ghost) continue;
    shed(*place, now);
    if (++looks == kMostShed) return;  // the others next time
  }
}

std::vector<std::pair<Place*, Stripe>> Shape::orphans() const {
  std::vector<std::pair<Place*, Stripe>> orphans;
  for (const auto& [id, place] : places_) {
    if (place->head || place->done || place->ghost) continue;
    for (Stripe s = 0; s < kStripes; ++s) {
      if (place->parents[s] == nullptr && !place->complete[s]) orphans.emplace_back(place.get(), s);
    }
  }
  // Those who joined first, first: the order of a hash table is no order.
  std::sort(orphans.begin(), orphans.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first->joined, a.first->id, a.second) <
           std::tie(b.first->joined, b.first->id, b.second);
  });
  return orphans;
}

const Place* Shape::backup(const Place& place, Stripe stripe) const {
  const Place* parent = place.parents[stripe];
  if (parent == nullptr) return nullptr;
  return parent->parents[stripe];
}

}  // namespace hagring::herd
