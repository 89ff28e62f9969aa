// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/member.hpp"

#include <algorithm>

namespace hagring::herd {
namespace {

/// Of two coordinators that meet each has named its own.
constexpr std::size_t kMostHeadsHeard = 4 * kMaxHeads;

}  // namespace

Member::Member(MemberOptions options, HerdId herd, NodeId self, MemberFacts facts, Load& load)
    : options_(options),
      herd_(std::move(herd)),
      self_(std::move(self)),
      facts_(facts),
      load_(load) {}

Member::~Member() { load_.remove_children(children_.size()); }

void Member::drop_children(Actions& actions) {
  for (const Child& child : children_) actions.push_back(DropChild{child.stripe, child.node});
  load_.remove_children(children_.size());
  children_.clear();
}

void Member::send(Body body, Actions& actions) const {
  if (coordinator_.empty()) return;
  actions.push_back(Send{coordinator_, {herd_, std::move(body)}});
}

Actions Member::start(std::vector<NodeId> coordinators, TimePoint now) {
  Actions actions;
  started_ = ticked_ = now;
  all_ = ranked_ = std::move(coordinators);
  next_coordinator(now, actions);
  return actions;
}

void Member::join(TimePoint now, Actions& actions) {
  answered_ = false;
  joined_ = heard_ = now;
  Join join{.size = facts_.size,
            .whole = facts_.whole,
            .may_fetch = facts_.may_fetch && !client_gone_,
            .fetching = fetching_,
            .done = whole_,
            .slow = facts_.slow,
            .units = facts_.units,
            .insist = insist_,
            .epoch = epoch_,
            .have = have_,
            .avoid = avoid_,
            .head = head_};
  for (std::size_t s = 0; s < kStripes; ++s) join.parents[s] = links_[s].parent;
  send(std::move(join), actions);
}

void Member::avoid(const NodeId& node) {
  if (avoid_.size() >= kMaxNodesInMessage) avoid_.erase(avoid_.begin());
  avoid_.push_back(node);
}

/// The coordinator doesn't answer, or is dead: the next nearest stands in.
void Member::next_coordinator(TimePoint now, Actions& actions) {
  if (!coordinator_.empty()) avoid(std::exchange(coordinator_, {}));
  const auto avoided = [&](const NodeId& node) {
    return std::find(avoid_.begin(), avoid_.end(), node) != avoid_.end();
  };
  while (!ranked_.empty() && avoided(ranked_.front())) ranked_.erase(ranked_.begin());
  if (ranked_.empty() && have_ != PerStripe{} && ++rounds_ < options_.most_rounds) {
    // The network may have been split.
    avoid_.clear();
    ranked_ = all_;
  }
  if (ranked_.empty()) {
    // What streams goes on; the first trouble ends it.
    const bool orphan = !fetching_ && (orphaned(0) || orphaned(1));
    if (orphan) give_up("no node answers that could coordinate", actions);
    return;
  }
  coordinator_ = std::move(ranked_.front());
  ranked_.erase(ranked_.begin());
  join(now, actions);
}

Actions Member::receive(const NodeId& from, const Body& body, TimePoint now) {
  Actions actions;
  if (from != coordinator_) return actions;
  // One that has finished, or goes its own way, serves on and is told whom not to.
  const bool serves_only = state_ == State::alone || state_ == State::ended;
  if (serves_only && !std::holds_alternative<Relieve>(body)) return actions;
  heard_ = now;
  answered_ = true;
  rounds_ = 0;
  std::visit([&](const auto& order) { take(order, now, actions); }, body);
  return actions;
}

Actions Member::coordinator_lost(const NodeId& node, TimePoint now) {
  Actions actions;
  if (node != coordinator_ || state_ == State::alone) return actions;
  // One that has all of it tells the stand-in, or that would have it fetched again.
  if (state_ == State::ended && !whole_) return actions;
  next_coordinator(now, actions);
  return actions;
}

void Member::take(const Redirect& order, TimePoint now, Actions& actions) {
  // It gets the finished blob already: whoever coordinates has nothing to add.
  if (state_ == State::holder) return;
  // A coordinator sends nobody to a node that he told it to avoid, unless it has heard from that
  // itself: then two that coordinated have met. Where this node asks already it may have failed as
  // a holder.
  if (order.to != coordinator_) std::erase(avoid_, order.to);
  insist_ = ++redirects_ > options_.most_redirects;
  if (!insist_ && order.to != coordinator_) {
    // The one that passed it on stands in for the other, should that be dead.
    ranked_.insert(ranked_.begin(), coordinator_);
    coordinator_ = order.to;
  }
  join(now, actions);
}

void Member::take(const Fetch& order, TimePoint now, Actions& actions) {
  if (order.epoch < epoch_) return;
  epoch_ = std::min(order.epoch, kMaxEpoch);
  redirects_ = 0;
  progress_every_ = milliseconds(order.progress_ms);
  if (!facts_.may_fetch || (client_gone_ && !fetching_)) {
    return send(Ended{Outcome::denied}, actions);
  }
  leave_parents(actions);
  head_ = self_;
  hear_of_head(self_);
  state_ = State::fetching;
  // It has got the rest meanwhile.
  if (fetching_ || (complete(0) && complete(1))) return;
  fetching_ = true;
  stall_told_ = false;
  origin_ = now;
  actions.push_back(FetchOrigin{epoch_, first_missing_byte(have_)});
}

void Member::take(const Stream& order, TimePoint now, Actions& actions) {
  if (order.epoch < epoch_) return;
  epoch_ = std::min(order.epoch, kMaxEpoch);
  redirects_ = 0;
  progress_every_ = milliseconds(order.progress_ms);
  for (const NodeId& node : order.former) hear_of_former(node);
  if (!order.head.empty()) hear_of_head(head_ = order.head);
  if (facts_.size == 0) facts_.size = order.size;
  if (order.sources.empty()) return;
  stop_fetch(actions);
  if (state_ != State::streaming) {
    floor_since_ = now;
    floor_bytes_ = 0;
  }
  state_ = State::streaming;
  for (const Source& source : order.sources) follow(source, now, actions);
}

void Member::hear_of_head(const NodeId& node) {
  std::erase(only_former_, node);
  if (std::ranges::find(heads_, node) != heads_.end()) return;
  if (heads_.size() >= kMostHeadsHeard && !forget_former()) heads_.erase(heads_.begin());
  heads_.push_back(node);
}

/// Threat: a member that makes up former heads, so that those are forgotten that were named as
/// heads themselves. Words about the past drive out one another only.
void Member::hear_of_former(const NodeId& node) {
  if (std::ranges::find(heads_, node) != heads_.end()) return;
  if (heads_.size() >= kMostHeadsHeard && !forget_former()) return;
  heads_.push_back(node);
  only_former_.push_back(node);
}

/// Forgets the one that was named longest ago as a former head only. False if there is none.
bool Member::forget_former() {
  if (only_former_.empty()) return false;
  std::erase(heads_, only_former_.front());
  only_former_.erase(only_former_.begin());
  return true;
}

void Member::take(const Wait& order, TimePoint now, Actions& actions) {
  epoch_ = std::max(epoch_, std::min(order.epoch, kMaxEpoch));
  if (state_ == State::joining) state_ = State::waiting;
  if (order.limited_ms == 0) return;
  const Duration lasts = milliseconds(order.limited_ms);
  limited_until_ = now + lasts;
  const bool waits = state_ == State::waiting || state_ == State::streaming;
  if (!waits || have_ != PerStripe{}) return;
  end(Outcome::left, actions);
  actions.push_back(Refuse{lasts});
}

void Member::take(const Relieve& order, TimePoint /*now*/, Actions& actions) {
  const auto found = std::find_if(children_.begin(), children_.end(), [&](const Child& child) {
    return child.node == order.child && child.stripe == order.stripe;
  });
  if (found == children_.end()) return;
  actions.push_back(DropChild{found->stripe, found->node});
  children_.erase(found);
  load_.remove_children(1);
}

void Member::take(const Holder& order, TimePoint /*now*/, Actions& actions) {
  leave_parents(actions);
  stop_fetch(actions);
  state_ = State::holder;
  actions.push_back(FetchHolder{order.node});
}

void Member::follow(const Source& source, TimePoint now, Actions& actions) {
  Link& link = links_[source.stripe];
  if (complete(source.stripe)) return;
  link.backup = source.backup;
  link.asked = false;
  if (source.parent == self_ || link.parent == source.parent) return;
  if (!link.parent.empty()) actions.push_back(Unsubscribe{source.stripe, link.parent});
  subscribe(source.stripe, source.parent, now, actions);
}

void Member::subscribe(Stripe stripe, const NodeId& parent, TimePoint now, Actions& actions) {
  Link& link = links_[stripe];
  link.parent = parent;
  link.since = link.heard = now;
  if (link.piece == TimePoint{}) link.piece = now;
  link.stuck_since = now;
  link.has = 0;
  link.spoke = false;
  actions.push_back(Subscribe{stripe, parent, have_[stripe]});
}

/// The parent is of no use any more: its backup is asked at once, and the coordinator for another.
void Member::lose(Stripe stripe, LostWhy why, TimePoint now, Actions& actions) {
  Link& link = links_[stripe];
  const NodeId parent = std::exchange(link.parent, {});
  actions.push_back(Unsubscribe{stripe, parent});
  send(Lost{.stripe = stripe, .parent = parent, .why = why, .have = have_}, actions);
  link.asked = true;
  link.asked_at = now;
  if (++lost_ > options_.most_lost) return give_up("parent after parent is lost", actions);
  const NodeId backup = std::exchange(link.backup, {});
  if (!backup.empty() && backup != parent && backup != self_) {
    subscribe(stripe, backup, now, actions);
  } else if (coordinator_.empty()) {
    give_up("a parent is lost, and nobody coordinates", actions);
  }
}

void Member::leave_parents(Actions& actions) {
  for (Stripe s = 0; s < kStripes; ++s) {
    if (!links_[s].parent.empty()) actions.push_back(Unsubscribe{s, links_[s].parent});
    links_[s].parent.clear();
    links_[s].backup.clear();
    links_[s].asked = false;
  }
}

void Member::stop_fetch(Actions& actions) {
  if (std::exchange(fetching_, false)) actions.push_back(StopFetch{});
}

void Member::give_up(const char* why, Actions& actions) {
  if (gave_up_ || state_ == State::ended) return;
  gave_up_ = true;
  leave_parents(actions);
  stop_fetch(actions);
  send(Ended{Outcome::left}, actions);
  state_ = State::alone;
  // Without the own client nobody's credentials are left to go on with.
  if (client_gone_) {
    drop_children(actions);
    state_ = State::ended;
  }
  actions.push_back(GiveUp{why});
}

void Member::end(Outcome outcome, Actions& actions) {
  leave_parents(actions);
  stop_fetch(actions);
  if (state_ != State::alone) send(Ended{outcome}, actions);
  state_ = State::ended;
}

bool Member::orphaned(Stripe stripe) const {
  return links_[stripe].parent.empty() && !complete(stripe);
}

bool Member::complete(Stripe stripe) const {
  return facts_.size != 0 && have_[stripe] >= pieces_in(stripe, pieces_of(facts_.size));
}

}  // namespace hagring::herd
