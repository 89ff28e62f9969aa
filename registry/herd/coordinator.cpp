// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/coordinator.hpp"

#include <algorithm>

#include "registry/herd/herd_state.hpp"

namespace hagring::herd {
namespace {

constexpr auto kTick = milliseconds(50);
/// Herds that others are known to coordinate.
constexpr std::size_t kMostHints = 4096;
/// A hint is renewed by each Probe; after these many that didn't come it counts no more.
constexpr int kHintProbes = 5;
/// How many of the nearest are looked at for one that is nearer than this node, apart from those
/// that the joiner has asked in vain.
constexpr std::size_t kLookedAt = 4;
/// Holders that a member is sent to before a herd begins.
constexpr std::size_t kMostHolders = 2;

bool avoids(const Join& join, const NodeId& node) {
  return std::find(join.avoid.begin(), join.avoid.end(), node) != join.avoid.end();
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, NodeId self, const Mesh& mesh)
    : options_(options), self_(std::move(self)), mesh_(mesh) {}

Coordinator::~Coordinator() = default;

const HerdState* Coordinator::find(const HerdId& herd) const {
  const auto found = herds_.find(herd);
  return found == herds_.end() ? nullptr : found->second.get();
}

Outgoing Coordinator::receive(const NodeId& from, const Message& message, TimePoint now) {
  Outgoing out;
  const HerdId& herd = message.herd;
  const auto found = herds_.find(herd);
  HerdState* state = found == herds_.end() ? nullptr : found->second.get();
  if (const auto* joining = std::get_if<Join>(&message.body)) {
    join(from, herd, *joining, now, out);
  } else if (const auto* progress = std::get_if<Progress>(&message.body)) {
    // One that a former life of this node coordinated is told to join anew.
    if (state != nullptr)
      state->take(from, *progress, now, out);
    else
      out.push_back({from, {herd, Redirect{self_}}});
  } else if (const auto* lost = std::get_if<Lost>(&message.body)) {
    if (state != nullptr)
      state->take(from, *lost, now, out);
    else
      out.push_back({from, {herd, Redirect{self_}}});
  } else if (const auto* ended = std::get_if<Ended>(&message.body)) {
    if (state != nullptr) state->take(from, *ended, now, out);
  } else if (std::holds_alternative<Probe>(message.body)) {
    meet(from, herd, 1, now, out);
    const auto still = herds_.find(herd);
    Note note;
    if (still != herds_.end()) {
      note = {still->second->epoch(), still->second->head(), still->second->members()};
    }
    out.push_back({from, {herd, note}});
  } else if (const auto* note = std::get_if<Note>(&message.body)) {
    meet(from, herd, note->members, now, out);
  }
  if (const HerdState* after = find(herd)) told_next_ = std::min(told_next_, after->tell_at());
  return out;
}

/// Whom a joining node should rather ask; none: it belongs here.
NodeId Coordinator::elsewhere(const HerdId& herd, const Join& join, TimePoint now) const {
  const auto avoided = [&](const NodeId& node) { return avoids(join, node); };
  if (join.insist) return {};
  const Key place = place_of(herd);
  // Threat: a Probe for a herd that isn't there. Only a nearer node may send joiners to itself.
  const NodeId begun = hinted(herd, now);
  if (!begun.empty() && nearer(place, begun, self_)) return begun;
  for (const NodeId& node : mesh_.nearest(place, kLookedAt + join.avoid.size())) {
    if (node != self_ && !avoided(node) && nearer(place, node, self_)) return node;
  }
  return {};
}

/// Who says that it coordinates a herd already; none.
NodeId Coordinator::hinted(const HerdId& herd, TimePoint now) const {
  const auto hint = hints_.find(herd);
  return hint != hints_.end() && hint->second.until > now ? hint->second.coordinator : NodeId();
}

/// Who has the whole blob: that needs no herd. None for a member that has a part of it from others
/// already, who would lose it.
NodeId Coordinator::holder_for(const NodeId& from, const HerdId& herd, const Join& join) const {
  if (join.epoch != 0 || join.fetching || join.done || join.have != PerStripe{}) return {};
  std::size_t in_vain = 0;
  for (const NodeId& node : mesh_.holders(herd)) {
    if (node == from) continue;
    if (!avoids(join, node)) return node;
    // Threat: members that say of every blob that they have it.
    if (++in_vain == kMostHolders) break;
  }
  return {};
}

HerdState* Coordinator::create(const NodeId& from, const HerdId& herd, const Join& join,
                               TimePoint now, Outgoing& out) {
  // It was asked, and gave this member nothing.
  if (avoids(join, hinted(herd, now))) hints_.erase(herd);
  if (const NodeId other = elsewhere(herd, join, now); !other.empty()) {
    out.push_back({from, {herd, Redirect{other}}});
    return nullptr;
  }
  if (const NodeId holder = holder_for(from, herd, join); !holder.empty()) {
    out.push_back({from, {herd, Holder{holder}}});
    return nullptr;
  }
  // No answer: the node goes to the next nearest.
  if (herds_.size() >= options_.most_herds) return nullptr;
  // Threat: a member that joins herds without end, so that there is no room for others'.
  const auto own =
      std::ranges::count_if(herds_, [&](const auto& each) { return each.second->founder == from; });
  if (static_cast<std::size_t>(own) >= options_.most_herds_of_one) return nullptr;
  auto state = std::make_unique<HerdState>(options_, herd, self_, join.whole, now);
  const NodeId begun = hinted(herd, now);
  hints_.erase(herd);
  state->founder = from;
  if (join.epoch != 0 || !join.avoid.empty() || !begun.empty()) {
    state->hold_until(now + options_.hold);
  }
  // One that is farther hands its herd over to this nearer one, with whoever fetches there.
  if (!begun.empty()) out.push_back({begun, {herd, Probe{}}});
  return (herds_[herd] = std::move(state)).get();
}

void Coordinator::join(const NodeId& from, const HerdId& herd, const Join& join, TimePoint now,
                       Outgoing& out) {
  const auto found = herds_.find(herd);
  HerdState* state =
      found != herds_.end() ? found->second.get() : create(from, herd, join, now, out);
  if (state == nullptr) return;
  if (state->members() >= options_.most_members && state->shape().find(from) == nullptr) return;
  state->join(from, join, now, out);
  if (found == herds_.end()) probe(*state, now, out);
}

void Coordinator::probe(HerdState& state, TimePoint now, Outgoing& out) {
  state.probed = now;
  std::size_t sent = 0;
  for (const NodeId& node : mesh_.nearest(place_of(state.id()), options_.probes + 1)) {
    if (node == self_ || sent == options_.probes) continue;
    out.push_back({node, {state.id(), Probe{state.epoch(), state.head()}}});
    ++sent;
  }
}

/// Another node coordinates the same herd: the one that is nearer to its place goes on.
void Coordinator::meet(const NodeId& from, const HerdId& herd, std::uint32_t members, TimePoint now,
                       Outgoing& out) {
  if (members == 0 || from == self_) return;
  const auto found = herds_.find(herd);
  if (found != herds_.end()) {
    if (!nearer(place_of(herd), from, self_)) return;
    found->second->hand_over(from, out);
    herds_.erase(found);
  }
  if (hints_.size() >= kMostHints && !hints_.contains(herd)) return;
  hints_[herd] = {from, now + kHintProbes * options_.probe_every};
}

Outgoing Coordinator::lost(const NodeId& node, TimePoint now) {
  Outgoing out;
  for (const auto& [herd, state] : herds_) state->gone(node, now, out);
  std::erase_if(hints_, [&](const auto& hint) { return hint.second.coordinator == node; });
  return out;
}

Outgoing Coordinator::tick(TimePoint now) {
  Outgoing out;
  ticked_ = now;
  told_next_ = TimePoint::max();
  for (const auto& [herd, state] : herds_) {
    state->tick(now, out);
    if (now - state->probed >= options_.probe_every) probe(*state, now, out);
  }
  std::erase_if(herds_, [&](const auto& each) { return each.second->idle(now); });
  std::erase_if(hints_, [&](const auto& hint) { return hint.second.until <= now; });
  return out;
}

TimePoint Coordinator::next_tick() const {
  if (herds_.empty() && hints_.empty()) return TimePoint::max();
  return std::min(ticked_ + kTick, told_next_);
}

}  // namespace hagring::herd
