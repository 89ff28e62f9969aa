// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/herds.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/run_on.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// Between two looks for finished spools that are too old.
constexpr auto kSweep = 1s;
constexpr auto kBriefestTick = 1ms;
/// For the control thread to answer a client's thread: no pull waits for it.
constexpr auto kControl = 300ms;
/// Coordinators that a member knows: the nearest, and those that stand in for it.
constexpr std::size_t kCoordinators = 4;
/// Answers to one node's orders for herds that this node has left, between two sweeps.
constexpr unsigned kMostAnswers = 64;

}  // namespace

Herds::Herds(Parts parts, HerdsOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      budget_(std::make_shared<SpoolBudget>(options_.spools)),
      worth_(parts_.clock),
      upload_(options_.upload_limit),
      evidence_(parts_.clock),
      coordinator_(options_.coordinator, parts_.self, parts_.mesh),
      tasks_(parts_.control, "herds"),
      timer_(parts_.control) {}

void Herds::start() {
  parts_.neighbours.begin(
      {.received = [this](const NodeId& from,
                          Message message) { receive(from, std::move(message)); },
       .member_lost =
           [this](const NodeId& node) {
             pass_on(coordinator_.lost(node, parts_.clock.now()));
             timer_.cancel();
           },
       .coordinator_lost = [this](const NodeId& node) { coordinator_lost(node); }});
  tasks_.spawn([this] { return keep_time(); });
}

awaitable<void> Herds::stop() {
  stopped_ = true;
  tasks_.cancel();
  timer_.cancel();
  co_await tasks_.drain();
}

awaitable<void> Herds::keep_time() {
  auto sweep = parts_.clock.now() + kSweep;
  while (!stopped_ && !co_await asked_to_stop()) {
    const auto now = parts_.clock.now();
    timer_.expires_at(std::max(std::min(coordinator_.next_tick(), sweep), now + kBriefestTick));
    co_await timer_.async_wait(kTuple);
    if (parts_.clock.now() >= coordinator_.next_tick()) {
      pass_on(coordinator_.tick(parts_.clock.now()));
    }
    if (parts_.clock.now() < sweep) continue;
    parts_.finished.sweep();
    answered_.clear();
    sweep = parts_.clock.now() + kSweep;
  }
}

void Herds::receive(const NodeId& from, Message message) {
  if (stopped_) return;
  if (!for_coordinator(message.body)) return deliver(from, std::move(message));
  log::debug("herd", "{}: {} comes to the coordinator", message.herd.digest.to_string(),
             name_of(message.body));
  pass_on(coordinator_.receive(from, message, parts_.clock.now()));
  timer_.cancel();
}

void Herds::pass_on(Outgoing outgoing) {
  for (auto& [to, message] : outgoing) {
    if (to != parts_.self) {
      parts_.neighbours.send(to, message);
    } else {
      // Later: the coordinator isn't to be called from within itself.
      asio::post(parts_.control, [this, own = std::move(message)]() mutable {
        receive(parts_.self, std::move(own));
      });
    }
  }
}

void Herds::deliver(const NodeId& from, Message message) {
  const auto party = find(message.herd);
  if (party) {
    return party->post(
        [from, body = std::move(message.body)](Party& one) { one.receive(from, body); });
  }
  // An order for a herd that this node has left: its coordinator hasn't heard of that. Threat: one
  // that makes this node talk without end.
  if (++answered_[from] > kMostAnswers) return;
  pass_on({{from, Message{message.herd, Ended{Outcome::left}}}});
}

void Herds::coordinator_lost(const NodeId& node) {
  for (const auto& party : parties()) {
    party->post([node](Party& one) { one.coordinator_lost(node); });
  }
}

void Herds::send(const Send& message) {
  asio::post(parts_.control, [this, message] {
    if (!stopped_) pass_on({message});
  });
}

std::vector<std::shared_ptr<Party>> Herds::parties() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Party>> all;
  for (const auto& [id, party] : parties_) all.push_back(party);
  return all;
}

std::shared_ptr<Party> Herds::find(const HerdId& herd) const {
  const std::lock_guard lock(mutex_);
  const auto found = parties_.find(herd);
  return found == parties_.end() ? nullptr : found->second;
}

std::shared_ptr<Party> Herds::find_for(const asio::any_io_executor& home,
                                       const Party::About& about) {
  const std::lock_guard lock(mutex_);
  return find_for_locked(home, about);
}

std::shared_ptr<Party> Herds::find_for_locked(const asio::any_io_executor& home,
                                              const Party::About& about) {
  const auto found = parties_.find(about.id);
  if (found == parties_.end()) return nullptr;
  if (about.facts.ahead || !found->second->gives_way(home)) return found->second;
  parties_.erase(found);
  return nullptr;
}

awaitable<std::shared_ptr<Party>> Herds::join(registry::MirrorParts& parts, Party::About about,
                                              bool& made) {
  const auto home = co_await asio::this_coro::executor;
  if (auto there = find_for(home, about)) co_return there;
  if (!worth_.may_join()) co_return nullptr;
  if (about.facts.size > 0 && !Spool::has_room(options_.folder, about.facts.size, *budget_)) {
    co_return nullptr;
  }
  using Nodes = std::vector<NodeId>;
  auto nearest =
      run_on<Nodes>(parts_.control, tasks_, [this, id = about.id]() -> awaitable<Result<Nodes>> {
        co_await parts_.neighbours.get_to_know(id);
        co_return parts_.mesh.nearest(place_of(id), kCoordinators);
      });
  const auto coordinators = co_await with_deadline(parts_.clock, kControl, std::move(nearest));
  const auto is_self = [this](const NodeId& node) { return node == parts_.self; };
  if (!coordinators || std::ranges::all_of(*coordinators, is_self)) co_return nullptr;
  std::shared_ptr<Party> party;
  {
    const std::lock_guard lock(mutex_);
    // Another thread may have made one meanwhile.
    if (auto other = find_for_locked(home, about)) co_return other;
    if (parties_.size() >= options_.most_parties) co_return nullptr;
    party = std::make_shared<Party>(*this, parts, home, std::move(about));
    made = true;
    parties_.emplace(party->id(), party);
  }
  parts.hooks.background([party, nodes = *coordinators] { return party->run(nodes); });
  co_return party;
}

bool Herds::may_go_ahead(std::uint64_t size) const {
  std::size_t ahead = 0;
  auto bytes = budget_->bytes();
  for (const auto& one : parties()) {
    if (!one->ahead()) continue;
    ++ahead;
    if (!one->spool()) bytes += one->request().size.value_or(0);
  }
  const auto most = budget_->limits().bytes / 2;
  return ahead < options_.most_ahead && bytes <= most && size <= most - bytes;
}

void Herds::forget(const Party& party) {
  const std::lock_guard lock(mutex_);
  const auto found = parties_.find(party.id());
  if (found != parties_.end() && found->second.get() == &party) parties_.erase(found);
}

awaitable<std::optional<registry::Peer>> Herds::whereabouts(NodeId node) {
  using Place = std::optional<registry::Peer>;
  auto asked = run_on<Place>(parts_.control, tasks_,
                             [this, node = std::move(node)]() -> awaitable<Result<Place>> {
                               co_return parts_.neighbours.whereabouts(node);
                             });
  const auto place = co_await with_deadline(parts_.clock, kControl, std::move(asked));
  co_return place ? *place : Place();
}

Result<std::shared_ptr<Spool>> Herds::make_spool(std::uint64_t size) {
  return Spool::create(options_.folder, size, budget_);
}

void Herds::keep(const Digest& digest, std::shared_ptr<Spool> spool) {
  parts_.finished.keep(digest, std::move(spool));
}

bool Herds::keep(const Digest& digest, std::string_view content) {
  const auto spool = make_spool(content.size());
  if (!spool) return false;
  for (std::uint64_t piece = 0; piece < (*spool)->pieces(); ++piece) {
    const auto bytes = content.substr(piece * kPieceSize, kPieceSize);
    if (!(*spool)->put(piece, as_bytes(bytes))) return false;
  }
  keep(digest, *spool);
  return true;
}

void Herds::keep_evidence(const Digest& digest, Evidence::Words words) {
  evidence_.keep(digest, std::move(words));
}

void Herds::committed(const Digest& digest) {
  if (stopped_) return;
  auto words = evidence_.take(digest);
  if (words.empty()) return;
  tasks_.spawn([this, digest, words = std::move(words)] { return convict(digest, words); });
}

awaitable<void> Herds::convict(Digest digest, Evidence::Words words) {
  const auto right = co_await parts_.store.open(digest);
  if (!right) co_return;
  // A busy disk holds a reader up for seconds: on the control thread that would stop the heart.
  if (!reader_) reader_.emplace(1);
  const auto liars = co_await asio::co_spawn(
      reader_->get_executor(),
      [&]() -> awaitable<std::set<NodeId>> { co_return liars_among(words, *right, stopped_); },
      asio::use_awaitable);
  for (const auto& node : liars) {
    const auto peer = parts_.neighbours.whereabouts(node);
    if (!peer) continue;
    log::warning("herd", "peer {} has signed wrong pieces of {}", peer->name, digest.to_string());
    parts_.conduct.signed_false(peer->key(), digest);
  }
}

std::vector<Herds::Shown> Herds::shown() const {
  std::vector<Shown> all;
  for (const auto& party : parties()) {
    Shown one{.digest = party->id().digest.to_string(),
              .role = party->role(),
              .children = party->children()};
    if (const auto spool = party->spool()) {
      one.size = spool->size();
      const auto have = spool->have();
      one.pieces = have[0] + have[1];
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace hagring::herd
