// SPDX-License-Identifier: Apache-2.0
// What a party's clients tell it.
#include "registry/herd/herds.hpp"
#include "registry/herd/party.hpp"

namespace hagring::herd {

void Party::sit(Again again) {
  ++seats_;
  attended_ = true;
  const bool lends = again && !std::exchange(lends_, true);
  if (again) agains_.push_back(std::move(again));
  ahead_ = false;
  apply(member_.client_came(lends, now()));
  // Too late: what is left of it only serves others.
  if (member_.over() && !spool() && state() == State::waiting) become(State::alone);
}

void Party::leave(const Again& again) {
  std::erase(agains_, again);
  if (seats_ == 0 || --seats_ > 0) return;
  attended_ = false;
  lends_ = false;
  without_client();
}

void Party::without_client() {
  const auto shared = spool();
  const bool wanted = verifying_ || !children_.empty() || member_.fetching();
  if (shared && shared->whole() && !finished_ && wanted) return verify_without_client();
  apply(member_.client_gone(now()));
}

std::shared_ptr<Spool> Party::feed(std::optional<registry::Exchange>& exchange,
                                   std::uint64_t size) {
  if (ended_ || state() != State::fetching || spool()) return nullptr;
  auto shared = adopt(size);
  if (!shared) {
    leave_herd();
    return nullptr;
  }
  fetch_from(0, std::exchange(exchange, std::nullopt));
  become(State::streaming);
  return shared;
}

void Party::not_shareable() {
  if (state() == State::fetching && !spool()) leave_herd();
}

void Party::leave_herd() {
  for (const auto& child : std::exchange(children_, {})) {
    child->state = Child::State::dropped;
    member_.child_left(child->stripe, child->node);
  }
  child_count_ = 0;
  // Before it is said that it leaves: a member that fetches stays for others.
  if (member_.fetching()) apply(member_.origin_failed(true, now()));
  apply(member_.client_gone(now()));
  become(State::alone);
}

void Party::origin_refused(bool denied) {
  // Of an order that is withdrawn, or that another client has carried out, nobody waits for news.
  if (state() != State::fetching || spool()) return;
  become(State::waiting);
  apply(member_.origin_failed(denied, now()));
}

void Party::origin_limited(Duration lasts) {
  if (state() != State::fetching || spool()) return;
  become(State::waiting);
  apply(member_.origin_limited(lasts, now()));
}

void Party::holder_failed() {
  NodeId node;
  {
    const std::lock_guard lock(mutex_);
    node = holder_node_;
  }
  if (state() == State::holder) become(State::waiting);
  apply(member_.holder_failed(node, now()));
}

void Party::finished(bool kept, bool from_spool) {
  if (finished_) return;
  const auto shared = spool();
  const bool whole = shared && shared->whole();
  if (whole && !from_spool) return verify_without_client();
  finished_ = true;
  if (whole) herds_.keep(id_.digest, shared);
  if (whole || kept) herds_.worth().useful();
  serves_on_ = whole && !whole_;
  // What isn't kept here can't be given to others before the runtime has committed it.
  apply(whole || kept ? member_.finished(now()) : member_.client_gone(now()));
}

void Party::corrupt() {
  doubt();
  if (std::exchange(finished_, true)) return;
  apply(member_.corrupt(now()));
}

/// Threat: a head that falls silent before the end of its lie, so that nobody has all of it. Each
/// piece is judged by itself.
void Party::doubt() { herds_.keep_evidence(id_.digest, ledger_.testimony()); }

}  // namespace hagring::herd
