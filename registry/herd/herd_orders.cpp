// SPDX-License-Identifier: Apache-2.0
// What a herd's members are told.
#include <algorithm>
#include <tuple>

#include "registry/herd/herd_state.hpp"

namespace hagring::herd {
namespace {

/// A fetcher that has so many pieces of a stripe isn't replaced by a better one.
constexpr std::uint64_t kMuch = 64;

}  // namespace

/// Whether somebody has, or is getting from the origin, all that there is.
bool HerdState::sourced() const {
  const Place* head = shape_.head();
  // One that serves nobody, or is known to be slow, is of no use to the others if another could
  // fetch, unless it is far ahead already.
  if (head != nullptr) {
    const bool useful = head->units > 0 && (!head->slow || head->have[0] > kMuch);
    return whole_ || useful || !better_head();
  }
  if (whole_) {
    return std::any_of(shape_.places().begin(), shape_.places().end(),
                       [](const auto& each) { return each.second->done; });
  }
  std::array<bool, kStripes> there{};
  for (const auto& [id, place] : shape_.places()) {
    for (Stripe s = 0; s < kStripes; ++s) {
      there[s] = there[s] || (!place->suspect && (place->done || place->complete[s]));
    }
  }
  return there[0] && there[1];
}

/// Whether one that may fetch serves others, too, and isn't slow.
bool HerdState::better_head() const {
  const Place* next = candidate();
  return next != nullptr && next->units > 0 && !next->slow;
}

Place* HerdState::candidate() const {
  Place* best = nullptr;
  std::tuple<bool, bool, bool, std::uint64_t, TimePoint::duration> best_rank;
  for (const auto& [id, place] : shape_.places()) {
    if (!place->may_fetch || place->ghost || place->suspect || place->done) continue;
    const std::tuple rank(!place->origin_failed, place->units > 0, !place->slow,
                          first_missing_byte(place->have), -place->joined.time_since_epoch());
    if (best != nullptr && (rank < best_rank || (rank == best_rank && best->id < id))) continue;
    best = place.get();
    best_rank = rank;
  }
  return best;
}

void HerdState::name_head(Place& place, Outgoing& out) {
  ++epoch_;
  shape_.set_head(&place);
  if (!whole_ && std::ranges::find(heads_, place.id) == heads_.end()) {
    if (heads_.size() >= kMaxHeads) heads_.erase(heads_.begin());
    heads_.push_back(place.id);
    tell_heads(out);
  }
  send(place.id,
       Fetch{.epoch = epoch_,
             .from = std::min(first_missing_byte(place.have), kMaxBlob),
             .progress_ms = progress_ms()},
       out);
}

/// Without sources: where its receiver streams from doesn't change.
Stream HerdState::order_for(const Place& place) const {
  Stream order{.epoch = epoch_,
               .head = head(),
               .size = size_,
               .group = place.group,
               .progress_ms = progress_ms()};
  for (const NodeId& node : heads_) {
    if (node != order.head) order.former.push_back(node);
  }
  for (const HeardHead& heard : heard_heads_) {
    if (order.former.size() >= kMaxHeads) break;
    const bool twice = std::ranges::find(heads_, heard.head) != heads_.end();
    if (!twice && heard.head != order.head) order.former.push_back(heard.head);
  }
  return order;
}

/// Threat: one that would have others take what it signs (nobody is believed for its own word), or
/// forget whose signatures they know. Each has one word, whether or not it leaves and comes again,
/// and none drives out what was named here or heard of before.
void HerdState::hear_of_head(const NodeId& head, const NodeId& from) {
  if (head.empty() || head == from || whole_ || heard_heads_.size() >= kMaxHeads) return;
  const auto known = [&](const HeardHead& each) { return each.head == head || each.from == from; };
  if (std::ranges::find(heads_, head) != heads_.end()) return;
  if (std::ranges::any_of(heard_heads_, known)) return;
  heard_heads_.push_back({head, from});
  heads_untold_ = true;
}

/// Members take only what somebody has signed of whom they were told: all that stream are told of
/// another one.
void HerdState::tell_heads(Outgoing& out) const {
  for (const auto& [id, place] : shape_.places()) {
    const bool streams = !place->told[0].empty() || !place->told[1].empty();
    if (streams && !place->ghost && !place->done && !place->head) send(id, order_for(*place), out);
  }
}

void HerdState::tell_changed(Outgoing& out) {
  tell_at_ = TimePoint::max();
  if (std::exchange(heads_untold_, false)) tell_heads(out);
  for (Place* place : shape_.take_changed()) {
    Stream order = order_for(*place);
    for (Stripe s = 0; s < kStripes; ++s) {
      if (!std::exchange(place->changed[s], false) || place->parents[s] == nullptr) continue;
      // The former parent has room for another before that one asks.
      const NodeId former = std::exchange(place->told[s], place->parents[s]->id);
      if (!former.empty() && former != place->told[s]) send(former, Relieve{s, place->id}, out);
      const Place* backup = shape_.backup(*place, s);
      order.sources.push_back(
          {s, place->parents[s]->id, backup != nullptr ? backup->id : NodeId()});
    }
    if (!order.sources.empty()) send(place->id, std::move(order), out);
  }
}

void HerdState::settle(TimePoint now, Outgoing& out) {
  arrange(now, out);
  tell_changed(out);
}

/// Brings everything in order after a change: a head, a parent for each.
void HerdState::arrange(TimePoint now, Outgoing& out) {
  bury(out);
  if (disturbed_) {
    Place* next = nullptr;
    if (now >= hold_until_ && !sourced()) next = candidate();
    Place* former = shape_.head();
    if (next != nullptr) name_head(*next, out);
    if (next != nullptr && former != nullptr && former != next) shape_.place(*former, now);
    disturbed_ = now < hold_until_ && !sourced();
    if (whole_) {
      assign_holders(now, out);
    } else if (sourced()) {
      for (const auto& [place, stripe] : shape_.orphans()) {
        const bool fresh = place->parents[0] == nullptr && place->parents[1] == nullptr &&
                           place->used() == 0 && place->have == PerStripe{};
        if (fresh && stripe == 0) {
          shape_.place(*place, now);
        } else if (place->parents[stripe] == nullptr) {
          disturbed_ = !shape_.attach(*place, stripe, now) || disturbed_;
        }
      }
      if (shape_.head() != nullptr) shape_.shed(*shape_.head(), now);
    }
  }
}

/// Each one that asks may count against all of them (an address that they share, say).
void HerdState::origin_limited(Place& place, Duration lasts, TimePoint now, Outgoing& out) {
  const bool was_head = shape_.head() == &place;
  origin_failed(place, false, now);
  // Nobody else was to ask; and containerd asks again at once, whatever it is told.
  if (!was_head || std::ranges::find(limited_, place.id) != limited_.end()) return;
  limited_.push_back(place.id);
  if (limited_.size() < options_.most_limited) return;
  limited_.clear();
  limited_until_ = now + std::min<Duration>(lasts, options_.origin_pause);
  hold_until_ = std::max(hold_until_, limited_until_);
  for (const auto& [id, other] : shape_.places()) {
    if (!other->ghost && !other->done) send(id, wait(now), out);
  }
}

Wait HerdState::wait(TimePoint now) const {
  return {.epoch = epoch_, .limited_ms = limited_ms(limited_until_ - now)};
}

void HerdState::release_holder(Place& place) {
  if (place.holder.empty()) return;
  if (Place* holder = shape_.find(place.holder)) holder->giving -= holder->giving > 0 ? 1 : 0;
  place.holder.clear();
  disturbed_ = true;
}

void HerdState::assign_holders(TimePoint /*now*/, Outgoing& out) {
  std::vector<Place*> holders;
  std::vector<Place*> waiting;
  for (const auto& [id, place] : shape_.places()) {
    if (place->done && !place->suspect) holders.push_back(place.get());
    if (!place->done && !place->head && place->holder.empty()) waiting.push_back(place.get());
  }
  const auto by_age = [](const Place* a, const Place* b) {
    return std::tie(a->joined, a->id) < std::tie(b->joined, b->id);
  };
  std::sort(holders.begin(), holders.end(), by_age);
  std::sort(waiting.begin(), waiting.end(), by_age);
  for (Place* place : waiting) {
    const auto holder = std::find_if(holders.begin(), holders.end(), [&](const Place* each) {
      return each->giving < options_.per_holder &&
             std::find(place->avoid.begin(), place->avoid.end(), each->id) == place->avoid.end();
    });
    if (holder == holders.end()) continue;
    ++(*holder)->giving;
    place->holder = (*holder)->id;
    send(place->id, Holder{place->holder}, out);
  }
}

void HerdState::hand_over(const NodeId& to, Outgoing& out) const {
  for (const auto& [id, place] : shape_.places()) {
    if (!place->ghost) send(id, Redirect{to}, out);
  }
}

bool HerdState::idle(TimePoint now) const {
  // Those that are told of a limit leave, and come again.
  if (now < limited_until_) return false;
  if (shape_.size() == 0) return true;
  return now - active_ > options_.idle;
}

}  // namespace hagring::herd
