// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/herd_state.hpp"

#include <algorithm>

namespace hagring::herd {
namespace {

/// Parents that a member lost and that it isn't given again for a while.
constexpr std::size_t kMostAvoided = 4;
/// So many children a node has at most, whatever they say when they come from another coordinator.
constexpr std::size_t kMostAdopted = 8;
/// How much a new measurement of a rate counts.
constexpr double kNewRate = 0.5;

}  // namespace

HerdState::HerdState(const CoordinatorOptions& options, HerdId herd, NodeId self, bool whole,
                     TimePoint now)
    : options_(options),
      herd_(std::move(herd)),
      self_(std::move(self)),
      whole_(whole),
      shape_(options.fresh),
      active_(now),
      reminded_(now) {}

void HerdState::send(const NodeId& to, Body body, Outgoing& out) const {
  out.push_back({to, {herd_, std::move(body)}});
}

Duration HerdState::progress_every() const {
  return std::max<Duration>(
      options_.progress,
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
          static_cast<double>(shape_.size()) / std::max(1U, options_.progress_rate))));
}

std::uint32_t HerdState::progress_ms() const {
  const auto ms = std::chrono::duration_cast<milliseconds>(progress_every()).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 1, 60'000));
}

void HerdState::learn_size(std::uint64_t size_bytes) {
  // Threat: a member that makes up a size. Too large a one does no harm: members know theirs from
  // the manifest or the origin, and the digest decides. By too small a one all would seem to have
  // the whole, and nobody would be told to fetch the rest.
  size_ = std::max(size_, size_bytes);
}

Place& HerdState::enter(const NodeId& from, const Join& join, TimePoint now) {
  if (Place* known = shape_.find(from); known != nullptr && !known->ghost && join.epoch == 0) {
    // It begins anew: a restart, or a client that asks again.
    release_holder(*known);
    disturbed_ = disturbed_ || known->used() > 0 || known->head;
    shape_.remove(*known);
  }
  Place& place = shape_.add(from, now);
  shape_.embody(place);
  place.suspect = false;
  place.may_fetch = join.may_fetch;
  place.slow = join.slow;
  place.units = join.units;
  place.heard = now;
  shape_.revalue(place);
  learn_size(join.size);
  update(place, join.have, now);
  place.rate = {};
  return place;
}

void HerdState::join(const NodeId& from, const Join& join, TimePoint now, Outgoing& out) {
  active_ = now;
  const Place* known = shape_.find(from);
  const bool awaited = known != nullptr && known->ghost && known->used() > 0;
  Place& place = enter(from, join, now);
  epoch_ = std::max(epoch_, std::min(join.epoch, kMaxEpoch));
  if (join.epoch != 0) hear_of_head(join.head, from);
  if (join.done) {
    finish(place);
  } else if (join.fetching) {
    meet_fetcher(place, awaited, now, out);
  } else if (join.epoch != 0) {
    resume(place, join, now, out);
  } else if (!whole_ && sourced()) {
    shape_.place(place, now);
  } else {
    disturbed_ = true;
  }
  // Those that come from another coordinator come all at once, and have parents: each of them is no
  // reason to look at all the others.
  const bool resumes = join.epoch != 0 && !join.fetching && !join.done;
  if (!resumes) arrange(now, out);
  tell_at_ = std::min(tell_at_, now + options_.gather);
  const bool placed = place.head || place.done || place.parents[0] != nullptr ||
                      place.parents[1] != nullptr || !place.holder.empty();
  if (!placed) send(from, wait(now), out);
}

/// A member that comes from another coordinator goes on as it is, as far as that can be.
void HerdState::resume(Place& place, const Join& join, TimePoint now, Outgoing& out) {
  for (Stripe s = 0; s < kStripes; ++s) {
    const NodeId& id = join.parents[s];
    if (id.empty() || id == place.id || shape_.size() >= options_.most_members) continue;
    Place* parent = shape_.find(id);
    // Threat: parents that don't exist. Each member has two at a time: those that it names no more
    // go (take_deserted).
    if (parent == nullptr && shape_.ghosts() >= options_.most_ghosts) continue;
    if (parent == nullptr) parent = &shape_.add_ghost(id, now);
    // No node has more: MemberOptions::children_per_unit.
    if (parent->children[0].size() + parent->children[1].size() >= kMostAdopted) continue;
    if (parent->group != s && parent->children[parent->group].empty()) parent->group = s;
    shape_.adopt(place, s, *parent);
  }
  disturbed_ = true;
  // It must know that it has been taken in, even if nothing changes for it.
  send(place.id, order_for(place), out);
}

/// Two that fetch: the one that has less stops, and streams from the other's tree. Threat: one that
/// makes up what it has, and would be everybody's head. A head is replaced only by one that others
/// have named as their parent (`awaited`) before it came.
void HerdState::meet_fetcher(Place& place, bool awaited, TimePoint now, Outgoing& out) {
  Place* head = shape_.head();
  disturbed_ = true;
  const bool more =
      head != nullptr && first_missing_byte(head->have) < first_missing_byte(place.have);
  if (head == nullptr || head == &place || (awaited && more)) {
    name_head(place, out);
    if (head != nullptr && head != &place) shape_.place(*head, now);
    return;
  }
  shape_.place(place, now);
}

void HerdState::update(Place& place, const PerStripe& have, TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - place.have_at).count();
  place.heard = now;
  for (Stripe s = 0; s < kStripes; ++s) {
    if (seconds > 0 && have[s] >= place.have[s]) {
      const double rate = static_cast<double>(have[s] - place.have[s]) / seconds;
      place.rate[s] = place.rate[s] == 0 ? rate : place.rate[s] * (1 - kNewRate) + rate * kNewRate;
    }
    place.have[s] = have[s];
    place.complete[s] = size_ != 0 && have[s] >= pieces_in(s, pieces_of(size_));
    // It has left that parent by itself.
    if (!place.complete[s]) continue;
    shape_.detach(place, s);
    place.told[s].clear();
  }
  place.have_at = now;
}

void HerdState::take(const NodeId& from, const Progress& progress, TimePoint now, Outgoing& out) {
  Place* place = shape_.find(from);
  if (place == nullptr || place->ghost) return send(from, Redirect{self_}, out);
  active_ = now;
  learn_size(progress.size);
  if (progress.have != place->have) origin_failures_ = 0;
  place->busy = progress.busy;
  place->peak_in = progress.peak_in;
  if (place->done) return;
  update(*place, progress.have, now);
  if (progress.client_gone && !place->head) place->may_fetch = false;
  find_hungry(*place, progress.idle, now);
  find_slow(*place, now);
  settle(now, out);
}

/// `crowded`: the parent had been given more children than its share.
void HerdState::blame(Place& parent, const NodeId& reporter, LostWhy why, bool crowded,
                      TimePoint now) {
  // One that has finished, has room and refuses serves no more; others may be full. To bury one
  // that is merely full, and maybe the only one that has all, would cost another download.
  if (why == LostWhy::lied) return;
  if (why == LostWhy::refused && (!parent.done || crowded)) return;
  // Threat: a liar that reports good parents. One report moves its sender only.
  auto& reporters = parent.reporters;
  if (std::find(reporters.begin(), reporters.end(), reporter) == reporters.end()) {
    reporters.push_back(reporter);
  }
  const Duration limit = std::max<Duration>(options_.unheard, 3 * progress_every());
  const bool unheard = !parent.done && now - parent.heard > limit;
  if (unheard || reporters.size() > 1) buried_.push_back(parent.id);
}

void HerdState::take(const NodeId& from, const Lost& lost, TimePoint now, Outgoing& out) {
  Place* place = shape_.find(from);
  if (place == nullptr || place->ghost) return send(from, Redirect{self_}, out);
  active_ = now;
  update(*place, lost.have, now);
  Place* parent = shape_.find(lost.parent);
  if (!place->holder.empty() && place->holder == lost.parent) release_holder(*place);
  // It waits for an order that it should have had.
  if (lost.parent == from) shape_.detach(*place, lost.stripe);
  // Else it has been given another meanwhile.
  if (parent != nullptr && place->parents[lost.stripe] == parent) {
    if (place->avoid.size() >= kMostAvoided) place->avoid.erase(place->avoid.begin());
    place->avoid.push_back(lost.parent);
    place->avoid_until = now + options_.avoid;
    place->told[lost.stripe].clear();
    const bool crowded = parent->children[0].size() + parent->children[1].size() > parent->units;
    shape_.detach(*place, lost.stripe);
    blame(*parent, from, lost.why, crowded, now);
  }
  disturbed_ = true;
  settle(now, out);
  // An answer in any case: silence would be taken for this coordinator's death.
  place = shape_.find(from);
  if (place != nullptr && place->parents[lost.stripe] == nullptr) send(from, wait(now), out);
}

void HerdState::origin_failed(Place& place, bool denied, TimePoint now) {
  if (denied) place.may_fetch = false;
  place.origin_failed = true;
  if (shape_.head() != &place) return;
  // The first time another one tries at once; then the pauses grow.
  const auto pause = milliseconds(100) * (1U << std::min(origin_failures_, 10U));
  if (origin_failures_ > 0) hold_until_ = now + std::min<Duration>(pause, options_.origin_pause);
  ++origin_failures_;
  shape_.set_head(nullptr);
  disturbed_ = true;
}

void HerdState::take(const NodeId& from, const Ended& ended, TimePoint now, Outgoing& out) {
  Place* place = shape_.find(from);
  if (place == nullptr) return;
  active_ = now;
  switch (ended.outcome) {
    case Outcome::whole:
      finish(*place);
      break;
    case Outcome::denied:
    case Outcome::origin_failed:
      origin_failed(*place, ended.outcome == Outcome::denied, now);
      break;
    case Outcome::limited:
      origin_limited(*place, milliseconds(ended.limited_ms), now, out);
      break;
    case Outcome::corrupt:
      if (place->head) hold_until_ = std::max(hold_until_, now + options_.corrupt_hold);
      buried_.push_back(from);
      break;
    case Outcome::left:
      buried_.push_back(from);
      break;
  }
  settle(now, out);
}

void HerdState::finish(Place& place) {
  release_holder(place);
  if (place.head) shape_.set_head(nullptr);
  place.done = true;
  for (Stripe s = 0; s < kStripes; ++s) {
    shape_.detach(place, s);
    place.complete[s] = true;
    place.told[s].clear();
  }
  shape_.revalue(place);
  disturbed_ = true;
}

void HerdState::gone(const NodeId& node, TimePoint now, Outgoing& out) {
  if (shape_.find(node) == nullptr) return;
  buried_.push_back(node);
  settle(now, out);
}

}  // namespace hagring::herd
