// SPDX-License-Identifier: Apache-2.0
// Who of a herd is silent, slow, in want of more, or dead.
#include <algorithm>

#include "registry/herd/herd_state.hpp"

namespace hagring::herd {
namespace {

/// Members that can get nothing yet are told so this often.
constexpr auto kRemind = std::chrono::seconds(1);
/// Everybody is looked at this often at most.
constexpr auto kLook = milliseconds(20);
/// So many pieces behind both of its parents, so many reports long, a member is slow, if ...
constexpr double kSlowPieces = 16;
constexpr unsigned kSlowReports = 2;
/// ... its node never took in more than this share of what the middle one of all did.
constexpr double kSlowShare = 0.6;
/// A parent that has so many pieces more could send more than it does.
constexpr double kHungryPieces = 16;
/// Nobody is moved for the sake of so few.
constexpr std::uint64_t kLastPieces = 16;

}  // namespace

/// A node that takes in much less than its parents could give it: it goes to the edge.
void HerdState::find_slow(Place& place, TimePoint now) {
  if (place.slow || place.head || place.done || whole_) return;
  bool lags = true;
  for (Stripe s = 0; s < kStripes; ++s) {
    const Place* parent = place.parents[s];
    if (parent == nullptr || parent->slow || parent->suspect) return;
    const double behind = parent->position(s, now) - static_cast<double>(place.have[s]);
    lags = lags && behind >= kSlowPieces;
  }
  place.lagging = lags ? place.lagging + 1 : 0;
  if (place.lagging < kSlowReports) return;
  // One that a busy parent keeps short isn't slow itself: it has taken in more before.
  std::vector<std::uint64_t> peaks;
  for (const auto& [id, other] : shape_.places()) {
    if (other->peak_in > 0) peaks.push_back(other->peak_in);
  }
  if (peaks.empty()) return;
  const auto middle = peaks.begin() + static_cast<std::ptrdiff_t>(peaks.size() / 2);
  std::nth_element(peaks.begin(), middle, peaks.end());
  if (static_cast<double>(place.peak_in) > kSlowShare * static_cast<double>(*middle)) return;
  shape_.slow_down(place, now);
}

/// A node that could take in more, from parents that have more than it: they are busy elsewhere.
void HerdState::find_hungry(Place& place, unsigned idle_percent, TimePoint now) {
  if (place.head || place.done || whole_ || idle_percent < options_.idle_percent) return;
  if (now - place.moved < options_.reparent) return;
  for (Stripe s = 0; s < kStripes; ++s) {
    const Place* parent = place.parents[s];
    if (parent == nullptr || place.complete[s]) continue;
    // By the time that another one sends, this one would have sent the rest.
    if (size_ != 0 && pieces_in(s, pieces_of(size_)) - place.have[s] < kLastPieces) continue;
    const double behind = parent->position(s, now) - static_cast<double>(place.have[s]);
    if (behind < kHungryPieces || !shape_.improve(place, s, now)) continue;
    place.moved = now;
  }
}

/// A head that is slow, and neither dead nor stalled, would bind all to its rate.
void HerdState::watch_head(TimePoint now, Outgoing& out) {
  Place* head = shape_.head();
  const auto count = [](const PerStripe& have) { return have[0] + have[1]; };
  const double enough = static_cast<double>(options_.head_floor) *
                        std::chrono::duration<double>(options_.head_window).count();
  const bool anew =
      head == nullptr || head->id != watched_ || whole_ || count(head->have) < count(head_had_) ||
      static_cast<double>((count(head->have) - count(head_had_)) * kPieceSize) >= enough;
  if (anew) {
    watched_ = head == nullptr ? NodeId() : head->id;
    head_since_ = now;
    head_had_ = head == nullptr ? PerStripe{} : head->have;
    return;
  }
  const bool finished = head->complete[0] && head->complete[1];
  if (finished || now - head_since_ <= options_.head_window) return;
  if (slow_heads_ >= options_.most_slow_heads) return;
  head->origin_failed = true;  // the others come first
  Place* next = candidate();
  if (next == nullptr || next == head || next->origin_failed || next->units == 0 || next->slow) {
    head->origin_failed = false;
    return;
  }
  ++slow_heads_;
  name_head(*next, out);
  shape_.place(*head, now);
}

void HerdState::tick(TimePoint now, Outgoing& out) {
  if (now >= tell_at_) tell_changed(out);
  // Another herd's burst makes for ticks, too: these needn't cost a look at everybody.
  if (now - looked_ >= kLook) look(now, out);
  settle(now, out);
}

/// At everybody: who is silent, or waits, or has too many children; and at the head.
void HerdState::look(TimePoint now, Outgoing& out) {
  looked_ = now;
  const bool remind = now - reminded_ >= kRemind;
  if (remind) reminded_ = now;
  const Duration silent = std::max<Duration>(options_.silent, 10 * progress_every());
  for (const auto& [id, place] : shape_.places()) {
    const bool stale_ghost = place->ghost && now - place->joined > options_.rejoin;
    const bool silent_member = !place->done && !place->ghost && now - place->heard > silent;
    if (stale_ghost || silent_member) buried_.push_back(id);
    if (!place->avoid.empty() && now >= place->avoid_until) {
      place->avoid.clear();
      disturbed_ = true;
    }
    if (!place->reporters.empty() && remind) place->reporters.clear();
    const bool waits = !place->head && !place->done && !place->ghost && place->holder.empty() &&
                       place->parents[0] == nullptr && place->parents[1] == nullptr;
    if (waits && remind) send(id, wait(now), out);
  }
  bury(out);  // first: nobody looks for places for the children of the dead
  if (now - evened_ >= options_.reparent) {
    evened_ = now;
    shape_.shed_all(now);
  }
  watch_head(now, out);
  // Without a candidate nothing changes by waiting, except after a pause for the origin.
  if (!sourced() && now >= hold_until_) disturbed_ = true;
}

/// Takes out all that are to go, in one pass over those that stay.
void HerdState::bury(Outgoing& out) {
  const auto deserted = shape_.take_deserted();
  std::vector<Place*> dead;
  for (const NodeId& id : std::exchange(buried_, {})) {
    if (Place* place = shape_.find(id)) dead.push_back(place);
  }
  for (const NodeId& id : deserted) {
    Place* place = shape_.find(id);
    const bool still = place != nullptr && place->ghost && place->children[0].empty() &&
                       place->children[1].empty();
    if (still) dead.push_back(place);
  }
  if (dead.empty()) return;
  std::sort(dead.begin(), dead.end(), [](auto* a, auto* b) { return a->id < b->id; });
  dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
  if (whole_) {
    const auto gone = [&](const NodeId& id) {
      const auto at = std::lower_bound(dead.begin(), dead.end(), id,
                                       [](auto* place, const NodeId& i) { return place->id < i; });
      return at != dead.end() && (*at)->id == id;
    };
    for (const auto& [id, other] : shape_.places()) {
      if (!other->holder.empty() && gone(other->holder)) other->holder.clear();
    }
  }
  for (Place* place : dead) {
    release_holder(*place);
    for (Stripe s = 0; s < kStripes; ++s) {
      // A hung node's connection is open: its parent would feed it on.
      if (place->parents[s] != nullptr) send(place->parents[s]->id, Relieve{s, place->id}, out);
    }
    shape_.remove(*place);
  }
  disturbed_ = true;
}

}  // namespace hagring::herd
