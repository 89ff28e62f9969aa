// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/party.hpp"

#include <algorithm>

#include "registry/herd/herds.hpp"
#include "userspace/base/log.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// A cancellation that falls between two operations ends neither: said again.
constexpr auto kBetweenCancels = 100ms;
/// As long as a coordinator may send nodes to one that is through.
constexpr auto kLinger = 15s;
/// Whatever the member says: no spinning.
constexpr auto kBriefestTick = 1ms;

}  // namespace

Party::Party(Herds& herds, registry::MirrorParts& parts, asio::any_io_executor home, About about)
    : herds_(herds),
      parts_(parts),
      home_(std::move(home)),
      id_(std::move(about.id)),
      request_(std::move(about.request)),
      whole_(about.facts.whole),
      load_(herds.load()),
      member_(herds.options().member, id_, herds.self(), about.facts, *load_),
      ledger_(id_, herds.self(), herds.notary()),
      timer_(home_),
      tasks_(home_, "herd"),
      lends_(!about.facts.ahead),
      wanted_(parts.clock.now()),
      ahead_(about.facts.ahead),
      vacancy_(about.facts.ahead ? Vacancy::vacant : Vacancy::none) {
  if (!ahead_) sit(std::move(about.again));
}

Party::~Party() = default;

TimePoint Party::now() const { return parts_.clock.now(); }

void Party::post(std::function<void(Party&)> work) {
  asio::post(home_, [self = shared_from_this(), work = std::move(work)] {
    if (!self->ended_) work(*self);
  });
}

awaitable<void> Party::run(std::vector<NodeId> coordinators) {
  apply(member_.start(std::move(coordinators), now()));
  while (!is_over() && !co_await asked_to_stop()) {
    auto next = std::min(member_.next_tick(), next_seal());
    if (member_.over()) next = std::min(next, used_ + kLinger);
    if (ahead_) next = std::min(next, ahead_until());
    timer_.expires_at(std::max(next, now() + kBriefestTick));
    co_await timer_.async_wait(kTuple);
    if (now() >= member_.next_tick()) apply(member_.tick(now()));
    seal_when_quiet();
  }
  co_await end_all();
}

/// One that has all of it stays a while: others are sent here until their coordinator forgets.
bool Party::is_over() {
  if (has_given_way()) return true;
  end_ahead();
  const bool in_use = seats_ > 0 || !children_.empty() || verifying_;
  if (in_use) used_ = now();
  if (in_use || !member_.over()) return false;
  return !finished_ || !serves_on_ || now() - used_ >= kLinger;
}

awaitable<void> Party::end_all() {
  apply(member_.retire());
  ended_ = true;
  herds_.forget(*this);
  if (const auto shared = spool()) shared->fail(Errc::unavailable);
  bell_.ring();
  while (tasks_.size() > 0) {
    for (const auto& activity : activities_) activity->stop();
    timer_.expires_after(kBetweenCancels);
    co_await timer_.async_wait(kTuple);
  }
  co_await tasks_.drain();
}

std::shared_ptr<Party::Activity> Party::start(Work work) {
  auto activity = std::make_shared<Activity>();
  std::erase_if(activities_, [](const auto& one) { return one->stopped && !one->tasks; });
  activities_.push_back(activity);
  tasks_.spawn([this, activity, work = std::move(work)]() -> awaitable<void> {
    if (!activity->stopped) {
      TaskGroup inner(home_, "herd");
      inner.spawn([&]() -> awaitable<void> { co_await work(activity); });
      activity->tasks = &inner;
      co_await inner.drain();
      activity->tasks = nullptr;
    }
    activity->stopped = true;
    timer_.cancel();
  });
  return activity;
}

std::shared_ptr<Spool> Party::spool() const {
  const std::lock_guard lock(mutex_);
  return spool_;
}

std::vector<std::string> Party::heads() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> keys;
  for (const auto& [node, key] : heads_) {
    if (std::ranges::find(signers_, node) != signers_.end()) keys.push_back(key);
  }
  return keys;
}

std::optional<registry::Peer> Party::holder() const {
  const std::lock_guard lock(mutex_);
  return holder_;
}

Party::State Party::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Party::become(State state) {
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  bell_.ring();
}

std::string Party::role() const {
  switch (state()) {
    case State::waiting:
    case State::offered:
      return "waits";
    case State::fetching:
      return "asks the origin";
    case State::streaming:
      return from_origin_ ? "fetches" : "streams";
    case State::holder:
      return "gets it from a holder";
    case State::limited:
      return "waits for the origin to let it in";
    case State::alone:
      break;
  }
  return "goes alone";
}

awaitable<Advice> Party::advice(TimePoint end, bool at_home) {
  while (true) {
    const auto settled = [&] {
      const auto now_is = state();
      return ended_ || now_is == State::streaming || now_is == State::holder ||
             now_is == State::limited || now_is == State::alone ||
             (now_is == State::offered && at_home);
    };
    if (!co_await bell_.wait(end, settled) || ended_) co_return Advice::alone;
    const std::lock_guard lock(mutex_);
    if (state_ == State::streaming) co_return Advice::stream;
    if (state_ == State::holder) co_return Advice::holder;
    if (state_ == State::limited) co_return Advice::limited;
    if (state_ == State::alone) co_return Advice::alone;
    if (state_ != State::offered) continue;
    state_ = State::fetching;
    co_return Advice::fetch;
  }
}

std::shared_ptr<Spool> Party::adopt(std::uint64_t size) {
  if (const auto had = spool()) return had->size() == size ? had : nullptr;
  auto made = herds_.make_spool(size);
  if (!made) {
    log::info("herd", "{} isn't shared: no spool of {} bytes: {}", id_.digest.to_string(), size,
              made.error().message());
    return nullptr;
  }
  member_.size_known(size);
  const std::lock_guard lock(mutex_);
  spool_ = *std::move(made);
  return spool_;
}

// --- What the rest of the mesh tells.

void Party::receive(const NodeId& from, const Body& body) {
  log::debug("herd", "{}: {} from another node", id_.digest.to_string(), name_of(body));
  apply(member_.receive(from, body, now()));
  for (const auto& head : member_.heads()) ledger_.named(head);
  bell_.ring();  // pieces may wait for that
}

/// Who answers for what has come, for those who find it wrong on other threads.
void Party::note_signers() {
  auto signers = ledger_.signers();
  signer_count_ = ledger_.signer_count();
  const std::lock_guard lock(mutex_);
  signers_ = std::move(signers);
}

void Party::coordinator_lost(const NodeId& node) { apply(member_.coordinator_lost(node, now())); }

void Party::child_asks(const std::shared_ptr<Child>& child) {
  const bool taken = member_.child_asks(child->stripe, child->node, now());
  // Its former stream is dead: the end of that isn't to be taken for the end of this one.
  std::erase_if(children_, [&](const auto& one) {
    const bool former = one->node == child->node && one->stripe == child->stripe;
    if (former) one->state = Child::State::dropped;
    return former;
  });
  if (taken) children_.push_back(child);
  child_count_ = children_.size();
  child->state = taken ? Child::State::accepted : Child::State::refused;
  bell_.ring();
  timer_.cancel();
}

void Party::child_left(const std::shared_ptr<Child>& child) {
  if (std::erase(children_, child) > 0) member_.child_left(child->stripe, child->node);
  child_count_ = children_.size();
  timer_.cancel();
}

SharedBytes Party::encoded(const Batch& batch) {
  // Pieces come batch by batch, stripe beside stripe: the last one serves most of them.
  auto& last = last_batches_[batch.stripe];
  if (!last.encoded || last.batch != batch) {
    last = {.batch = batch, .encoded = std::make_shared<const Bytes>(encode(batch))};
  }
  return last.encoded;
}

}  // namespace hagring::herd
