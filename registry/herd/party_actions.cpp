// SPDX-License-Identifier: Apache-2.0
// What the member wants is done.
#include <algorithm>

#include "registry/herd/herds.hpp"
#include "registry/herd/party.hpp"
#include "userspace/base/log.hpp"

namespace hagring::herd {

void Party::apply(Actions actions) {
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const auto* left = std::get_if<Unsubscribe>(&actions[i]);
    const auto replaced = [&](const Action& later) {
      const auto* other = std::get_if<Subscribe>(&later);
      return other != nullptr && other->stripe == left->stripe;
    };
    // The former parent's pieces that are on their way are of use until the next one's come.
    if (left != nullptr && std::any_of(actions.begin() + i, actions.end(), replaced)) continue;
    std::visit([this](const auto& one) { act(one); }, actions[i]);
  }
  timer_.cancel();
}

void Party::act(const Send& action) {
  if (!has_given_way()) herds_.send(action);
}

void Party::act(const Subscribe& action) {
  auto vacant = Vacancy::vacant;
  vacancy_.compare_exchange_strong(vacant, Vacancy::none);
  end_former(action.stripe);
  former_[action.stripe] = std::exchange(links_[action.stripe], nullptr);
  auto& link = links_[action.stripe];
  link = start([this, action](std::shared_ptr<Activity> activity) {
    return follow(std::move(activity), action);
  });
  link->node = action.parent;
}

/// Its place has been taken.
void Party::end_former(Stripe stripe) {
  if (const auto former = std::exchange(former_[stripe], nullptr)) former->stop();
}

/// With no parent named: from whichever.
void Party::act(const Unsubscribe& action) {
  end_former(action.stripe);
  auto& link = links_[action.stripe];
  if (!link || (!action.parent.empty() && link->node != action.parent)) return;
  link->stop();
  link.reset();
}

void Party::act(const FetchOrigin& action) {
  epoch_ = action.epoch;
  herds_.counters().fetches.fetch_add(1, std::memory_order_relaxed);
  if (!spool()) return offer(action.from);
  herds_.counters().promotions.fetch_add(1, std::memory_order_relaxed);
  fetch_from(action.from, std::nullopt);
}

/// The first byte is a client's to ask for: its answer tells the size, without which there is no
/// spool. A client that gets the blob at a holder takes the offer up when that fails.
void Party::offer(std::uint64_t from) {
  const auto now_is = state();
  if (now_is == State::offered || now_is == State::fetching) return;
  if (from == 0 && now_is != State::alone && !agains_.empty()) return become(State::offered);
  apply(member_.origin_failed(true, now()));
}

void Party::act(const StopFetch&) {
  if (fetching_) {
    fetching_->stop();
    fetching_.reset();
    sign_rest();
  }
  const auto now_is = state();
  // A client that is asking the origin goes on with its answer by itself.
  if (!spool() && (now_is == State::offered || now_is == State::fetching)) become(State::waiting);
}

void Party::act(const FetchHolder& action) {
  start([this, node = action.node](std::shared_ptr<Activity> activity) -> awaitable<void> {
    const auto peer = co_await herds_.whereabouts(node);
    if (activity->stopped) co_return;
    if (!peer || parts_.conduct.banned(peer->key())) {
      co_return apply(member_.holder_failed(node, now()));
    }
    {
      const std::lock_guard lock(mutex_);
      holder_ = *peer;
      holder_node_ = node;
    }
    const auto now_is = state();
    if (now_is == State::waiting || now_is == State::offered) co_return become(State::holder);
    // In mid-blob the client itself goes on with peers, or the origin.
    if (const auto shared = spool()) shared->fail(Errc::unavailable);
  });
}

void Party::act(const DropChild& action) {
  for (const auto& child : children_) {
    if (child->node == action.child && child->stripe == action.stripe) {
      child->state = Child::State::dropped;
    }
  }
  bell_.ring();
}

void Party::act(const Refuse& action) {
  log::info("herd", "{}: the origin limits requests: its client is told so",
            id_.digest.to_string());
  limited_ = action.lasts;
  if (const auto shared = spool()) shared->fail(Errc::unavailable);
  become(herds_.worth().believes_limit() ? State::limited : State::alone);
}

void Party::act(const GiveUp& action) {
  gave_up_ = true;
  herds_.counters().given_up.fetch_add(1, std::memory_order_relaxed);
  log::info("herd", "{}: on alone: {}", id_.digest.to_string(), action.why);
  const auto shared = spool();
  if (!shared) {
    if (!ahead_) herds_.worth().in_vain();
    return become(State::alone);
  }
  if (fetching_ || shared->whole()) return;
  if (!agains_.empty() && !children_.empty()) {
    return fetch_from(first_missing_byte(shared->have()), std::nullopt);
  }
  shared->fail(Errc::unavailable);
}

}  // namespace hagring::herd
