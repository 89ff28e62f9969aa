// SPDX-License-Identifier: Apache-2.0
// What happens to a member apart from orders: pieces, parents, children, its client, time.
#include <algorithm>

#include "registry/herd/member.hpp"

namespace hagring::herd {
namespace {

/// Timers are looked at this often.
constexpr auto kTick = milliseconds(20);
/// Progress is sent though nothing has changed: the coordinator takes the silent for dead.
constexpr auto kAlive = milliseconds(200);
/// A coordinator that told to wait, and says nothing more, is left.
constexpr auto kCoordinatorSilent = std::chrono::seconds(3);

}  // namespace

Actions Member::arrived(Stripe stripe, std::uint64_t index, TimePoint now) {
  Actions actions;
  if (stripe >= kStripes || index != have_[stripe]) return actions;
  ++have_[stripe];
  load_.took(kPieceSize, now);
  floor_bytes_ += kPieceSize;
  Link& link = links_[stripe];
  link.piece = link.stuck_since = now;
  lost_ = 0;
  if (fetching_) {
    origin_ = now;
    stall_told_ = false;
  } else if (!link.parent.empty()) {
    link.heard = now;
    link.spoke = true;
  }
  if (complete(stripe) && !link.parent.empty()) {
    actions.push_back(Unsubscribe{stripe, std::exchange(link.parent, {})});
  }
  return actions;
}

void Member::heard(Stripe stripe, const NodeId& parent, TimePoint now) {
  if (stripe >= kStripes || links_[stripe].parent != parent) return;
  links_[stripe].heard = links_[stripe].stuck_since = now;
  links_[stripe].spoke = true;
}

void Member::beat(Stripe stripe, const NodeId& parent, std::uint64_t has, TimePoint now) {
  if (stripe >= kStripes || links_[stripe].parent != parent) return;
  Link& link = links_[stripe];
  link.heard = now;
  link.spoke = true;
  // While it has no more than this node there is nothing that it could send.
  if (link.has <= have_[stripe]) link.stuck_since = now;
  link.has = std::max(link.has, has);
}

Actions Member::parent_lost(Stripe stripe, const NodeId& parent, LostWhy why, TimePoint now) {
  Actions actions;
  if (stripe >= kStripes || parent.empty() || links_[stripe].parent != parent) return actions;
  lose(stripe, why, now, actions);
  return actions;
}

Actions Member::origin_failed(bool denied, TimePoint now) {
  if (denied && fetching_) facts_.may_fetch = false;
  return fetch_ended({denied ? Outcome::denied : Outcome::origin_failed}, now);
}

Actions Member::origin_limited(Duration lasts, TimePoint now) {
  return fetch_ended({Outcome::limited, limited_ms(lasts)}, now);
}

Actions Member::fetch_ended(Ended how, TimePoint now) {
  Actions actions;
  if (!std::exchange(fetching_, false)) return actions;
  state_ = State::waiting;
  heard_ = now;
  send(how, actions);
  if (coordinator_.empty()) give_up("the origin fails, and nobody coordinates", actions);
  return actions;
}

Actions Member::holder_failed(const NodeId& node, TimePoint now) {
  Actions actions;
  if (state_ != State::holder) return actions;
  state_ = State::waiting;
  heard_ = now;
  avoid(node);
  send(Lost{.stripe = 0, .parent = node, .why = LostWhy::refused, .have = have_}, actions);
  if (++lost_ > options_.most_lost) give_up("no holder gives the blob", actions);
  return actions;
}

bool Member::child_asks(Stripe stripe, const NodeId& child, TimePoint now) {
  if (stripe >= kStripes || child == self_ || child.empty()) return false;
  if (state_ == State::ended && !whole_) return false;
  // Threat: a child that would have its parent as its child, too.
  if (!whole_ && links_[stripe].parent == child) return false;
  child_left(stripe, child);  // it asks anew: the former stream is dead
  if (children_.size() >= std::size_t{facts_.units} * options_.children_per_unit) return false;
  children_.push_back({child, stripe, now});
  load_.add_child();
  return true;
}

void Member::child_left(Stripe stripe, const NodeId& child) {
  load_.remove_children(std::erase_if(
      children_, [&](const Child& each) { return each.node == child && each.stripe == stripe; }));
}

std::size_t Member::children(Stripe stripe) const {
  return static_cast<std::size_t>(
      std::count_if(children_.begin(), children_.end(),
                    [&](const Child& each) { return each.stripe == stripe; }));
}

Actions Member::client_came(bool may_fetch, TimePoint now) {
  Actions actions;
  if (std::exchange(facts_.ahead, false)) started_ = now;
  const bool back = std::exchange(client_gone_, false);
  const bool more = may_fetch && !facts_.may_fetch;
  facts_.may_fetch |= more;
  if (back) {
    floor_since_ = now;
    floor_bytes_ = 0;
  }
  const bool takes_part = state_ != State::alone && state_ != State::ended;
  if ((back || more) && takes_part && !coordinator_.empty()) join(now, actions);
  return actions;
}

Actions Member::client_gone(TimePoint /*now*/) {
  Actions actions;
  client_gone_ = true;
  if (state_ != State::ended && !needed()) end(Outcome::left, actions);
  return actions;
}

/// Whether others depend on this member's going on. A small blob's fetcher can't know who waits;
/// one that has all of it is about to be found right, and to be a source: whoever streams from it
/// has others that have less.
bool Member::needed() const {
  return !children_.empty() || (fetching_ && (facts_.whole || (complete(0) && complete(1))));
}

Actions Member::finished(TimePoint /*now*/) {
  Actions actions;
  if (state_ == State::ended) return actions;
  whole_ = true;
  fetching_ = false;  // it has come to its end
  end(Outcome::whole, actions);
  return actions;
}

Actions Member::retire() {
  Actions actions;
  drop_children(actions);
  const bool told = !std::exchange(retired_, true);
  // A small blob is held on, by its finished spool: late ones are sent here, not to the origin. One
  // of unknown size that came in one piece is small.
  const bool small = facts_.whole || (facts_.size == 0 && have_ == PerStripe{});
  if (told && whole_ && !small) send(Ended{Outcome::left}, actions);
  return actions;
}

Actions Member::corrupt(TimePoint now) {
  Actions actions;
  if (state_ == State::ended) return actions;
  leave_parents(actions);
  stop_fetch(actions);
  left_ = state_ == State::alone;
  state_ = State::ended;
  corrupt_at_ = now;
  end_corrupt(now, actions);
  return actions;
}

void Member::end_corrupt(TimePoint now, Actions& actions) {
  if (!children_.empty() && now - *corrupt_at_ < options_.corrupt_linger) return;
  corrupt_at_.reset();
  drop_children(actions);
  if (!left_) send(Ended{Outcome::corrupt}, actions);
  if (std::exchange(gave_up_, true)) return;
  actions.push_back(GiveUp{"the content doesn't have its digest"});
}

bool Member::over() const {
  if (!children_.empty() || corrupt_at_) return false;
  return state_ == State::ended || (state_ == State::alone && client_gone_);
}

Progress Member::progress(TimePoint now) {
  reported_ = have_;
  reported_busy_ = busy();
  reported_at_ = now;
  return {.have = have_,
          .size = facts_.size,
          .peak_in = load_.peak(),
          .idle = static_cast<std::uint8_t>(load_.idle(now) * 100),
          .busy = reported_busy_,
          .client_gone = client_gone_};
}

void Member::watch_parents(TimePoint now, Actions& actions) {
  for (Stripe s = 0; s < kStripes && state_ == State::streaming; ++s) {
    Link& link = links_[s];
    if (complete(s)) continue;
    if (link.piece != TimePoint{} && now - link.piece > options_.starved) {
      return give_up("nothing comes any more", actions);
    }
    if (link.parent.empty()) {
      // Either a Lost is under way, or an order never came: the coordinator thinks that it has.
      const TimePoint since = link.asked ? link.asked_at : heard_;
      if (now - since < options_.join_wait) continue;
      if (link.asked && heard_ < link.asked_at) return next_coordinator(now, actions);
      link.asked = true;
      link.asked_at = now;
      send(Lost{.stripe = s, .parent = self_, .why = LostWhy::closed, .have = have_}, actions);
    } else if (!link.spoke && now - link.since > options_.first_word) {
      lose(s, LostWhy::silent, now, actions);
    } else if (link.spoke && now - link.heard > options_.silent) {
      lose(s, LostWhy::silent, now, actions);
    } else if (link.spoke && link.has > have_[s] && now - link.stuck_since > options_.stuck) {
      lose(s, LostWhy::stuck, now, actions);
    }
  }
}

/// Waits that must end: for an answer, an order, a first byte, the origin.
void Member::watch_waits(TimePoint now, Actions& actions) {
  const bool nothing = have_ == PerStripe{} && state_ != State::holder;
  if (nothing && !facts_.ahead && now - started_ > options_.first_byte) {
    return give_up("no byte in time", actions);
  }
  if (!coordinator_.empty() && !answered_ && now - joined_ >= options_.join_wait) {
    return next_coordinator(now, actions);
  }
  if (state_ == State::waiting && now - heard_ > kCoordinatorSilent) {
    return next_coordinator(now, actions);
  }
  if (fetching_ && !stall_told_ && now - origin_ > options_.origin_stall) {
    // The fetch goes on until somebody else is told to try.
    stall_told_ = true;
    send(Ended{Outcome::origin_failed}, actions);
  }
}

/// Whether enough comes, whoever is slow. A fetcher is at the origin already: the coordinator
/// judges it. Before the first byte it is first_byte that counts; one that the origin denies gets
/// nothing there.
void Member::watch_rate(TimePoint now, Actions& actions) {
  const auto window = std::chrono::duration<double>(options_.floor_window).count();
  const bool enough =
      static_cast<double>(floor_bytes_) >= static_cast<double>(options_.floor) * window;
  const bool waits =
      state_ == State::streaming && !client_gone_ && facts_.may_fetch && now >= limited_until_;
  if (!waits || enough || have_ == PerStripe{}) {
    floor_since_ = now;
    floor_bytes_ = 0;
    return;
  }
  const bool all_there = complete(0) && complete(1);
  if (!all_there && now - floor_since_ > options_.floor_window) {
    give_up("less comes than the origin would give", actions);
  }
}

Actions Member::tick(TimePoint now) {
  Actions actions;
  ticked_ = now;
  // One that has finished is a source for others, the better the less its node does elsewhere.
  if (whole_ && busy() != reported_busy_) send(progress(now), actions);
  if (corrupt_at_) end_corrupt(now, actions);
  if (state_ == State::ended || state_ == State::alone) return actions;
  if (client_gone_ && !needed()) {
    end(Outcome::left, actions);
    return actions;
  }
  watch_waits(now, actions);
  watch_parents(now, actions);
  watch_rate(now, actions);
  const bool due =
      now >= reported_at_ + progress_every_ && (have_ != reported_ || now - reported_at_ >= kAlive);
  if (due && answered_ && state_ != State::joining && state_ != State::alone) {
    send(progress(now), actions);
  }
  return actions;
}

TimePoint Member::next_tick() const {
  const bool idle = !corrupt_at_ && (state_ == State::ended || state_ == State::alone) &&
                    children_.size() <= facts_.units;
  return idle ? TimePoint::max() : ticked_ + kTick;
}

}  // namespace hagring::herd
