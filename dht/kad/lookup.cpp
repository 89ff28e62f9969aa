// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/lookup.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

/// A peer that named this many dead ones is believed last.
constexpr std::size_t kDeadForSuspicion = 3;
/// A search remembers no more than this many peers: the farthest go.
constexpr std::size_t kMaxCandidates = 1000;

}  // namespace

Lookup::Lookup(asio::any_io_executor executor, Clock& clock, Rpc& rpc, const PeerId& self,
               LookupOptions options, Observer observer)
    : executor_(executor),
      clock_(clock),
      rpc_(rpc),
      self_(self),
      options_(options),
      observer_(std::move(observer)),
      providers_(self),
      changed_(executor, clock_),
      tasks_(executor, "a lookup") {}

awaitable<LookupResult> Lookup::find_nearest(Bytes wire_key, std::vector<PeerInfo> seeds) {
  const Key target = Key::of(wire_key);
  return find_nearest(target, std::move(wire_key), std::move(seeds));
}

awaitable<LookupResult> Lookup::find_nearest(Key target, Bytes wire_key,
                                             std::vector<PeerInfo> seeds) {
  Message request;
  request.type = MessageType::find_node;
  request.key = std::move(wire_key);
  return search(std::move(request), target, std::move(seeds));
}

awaitable<LookupResult> Lookup::find_providers(Bytes wire_key, std::vector<PeerInfo> seeds,
                                               std::vector<PeerInfo> held, OnProvider on_provider) {
  on_provider_ = std::move(on_provider);
  hand_on(providers_.take(held), 0);
  const Key target = Key::of(wire_key);
  Message request;
  request.type = MessageType::get_providers;
  request.key = std::move(wire_key);
  return search(std::move(request), target, std::move(seeds));
}

awaitable<LookupResult> Lookup::search(Message request, Key target, std::vector<PeerInfo> seeds) {
  request_ = std::move(request);
  target_ = target;
  for (const PeerInfo& seed : seeds) take_candidate(seed, self_, 1);
  bool late = false;
  tasks_.spawn([this, &late]() -> awaitable<void> {
    co_await clock_.sleep_for(options_.limit);
    late = true;
    changed_.ring();
  });
  co_await give_head_start();
  while (!enough_ && !late && !co_await asked_to_stop()) {
    if (!start_queries()) {
      result_.complete = true;
      break;
    }
    co_await changed_.wait();
  }
  if (!co_await asked_to_stop()) hand_on(providers_.rest(), result_.rounds);
  tasks_.cancel();
  co_await tasks_.drain();
  finish();
  co_return std::move(result_);
}

/// Most searches end here: who holds a record of somebody who has the key needs nobody else.
awaitable<void> Lookup::give_head_start() {
  if (result_.providers == 0 || enough_) co_return;
  co_await changed_.sleep_until(clock_.now() + options_.head_start);
}

/// Keeps alpha queries in flight; false when the search has come to its end.
bool Lookup::start_queries() {
  while (true) {
    std::size_t in_flight = 0;
    bool converged = false;
    Candidate* next = next_candidate(in_flight, converged);
    if (converged && !options_.follow_up) return false;
    if (!next || result_.messages >= options_.max_queries) {
      // Those that stall are waited for only when nobody has answered.
      return in_flight > 0 || (outstanding_ > 0 && result_.answers == 0);
    }
    if (in_flight >= (converged ? options_.k : options_.alpha)) return true;
    next->state = State::asked;
    ++result_.messages;
    ++outstanding_;
    result_.rounds = std::max(result_.rounds, next->round);
    tasks_.spawn([this, next] { return query(*next); });
    tasks_.spawn([this, next]() -> awaitable<void> {
      co_await clock_.sleep_for(options_.stall_after);
      if (next->state != State::asked) co_return;
      next->state = State::stalled;
      changed_.ring();
    });
  }
}

/// The nearest peer that is still to be asked, of the k nearest that haven't failed; counts the
/// queries in flight among all.
Lookup::Candidate* Lookup::next_candidate(std::size_t& in_flight, bool& converged) {
  Candidate* next = nullptr;
  Candidate* near = nullptr;  // before the search has converged, only the very nearest are asked
  const std::size_t window = std::max(options_.alpha, options_.beta);
  std::size_t rank = 0;
  std::size_t answered = 0;
  for (auto& [distance, candidate] : candidates_) {
    if (candidate.state == State::asked) ++in_flight;
    if (candidate.state == State::failed || candidate.state == State::stalled) continue;
    if (rank >= options_.k) continue;
    // Threat: a peer that names dead ones near the target would hold the search there.
    if (candidate.state == State::named && suspect(candidate)) continue;
    ++rank;
    if (candidate.state == State::answered && answered + 1 == rank) ++answered;
    if (candidate.state != State::named) continue;
    if (!next) next = &candidate;
    if (!near && rank <= window) near = &candidate;
  }
  converged = answered >= std::min(options_.beta, rank) && rank > 0;
  if (!converged && (near || in_flight > 0)) return near;
  if (next) return next;
  // Nobody believed is left: ask the others while too few have answered.
  if (answered >= options_.k || outstanding_ > 0) return nullptr;
  for (auto& [distance, candidate] : candidates_) {
    if (candidate.state == State::named && result_.answers < options_.k) return &candidate;
  }
  return nullptr;
}

bool Lookup::suspect(const Candidate& candidate) const {
  const auto dead = dead_named_.find(candidate.named_by);
  return dead != dead_named_.end() && dead->second >= kDeadForSuspicion;
}

awaitable<void> Lookup::query(Candidate& candidate) {
  const auto reply = co_await rpc_.ask(candidate.peer, request_, options_.query_limit);
  --outstanding_;
  if (reply && reply->type == request_.type) {
    candidate.state = State::answered;
    ++result_.answers;
    if (observer_.answered) observer_.answered(candidate.peer);
    take_reply(candidate, *reply);
  } else if (reply || !is_cancelled(reply.error())) {
    candidate.state = State::failed;
    ++result_.failures;
    if (candidate.named_by != self_) ++dead_named_[candidate.named_by];
    if (observer_.failed) observer_.failed(candidate.peer);
  }
  changed_.ring();
}

void Lookup::take_reply(const Candidate& from, const Message& reply) {
  const PeerId namer = from.peer.id;
  const std::size_t round = from.round;
  if (!enough_) hand_on(providers_.take(reply.provider_peers), round);
  std::size_t taken = 0;
  for (const PeerInfo& peer : reply.closer_peers) {
    if (++taken > options_.k * 2) break;
    take_candidate(peer, namer, round + 1);
  }
}

void Lookup::take_candidate(const PeerInfo& peer, const PeerId& namer, std::size_t round) {
  // Threat: a peer may name us to loop the search; drop it.
  if (peer.id == self_ || peer.addresses.empty()) return;
  const auto [place, added] =
      candidates_.try_emplace(distance(target_, Key::of(peer.id)), Candidate{peer, namer, round});
  if (!added) {
    if (suspect(place->second)) place->second.named_by = namer;
    if (place->second.state == State::named) {
      place->second.round = std::min(place->second.round, round);
    }
    return;
  }
  if (namer != self_ && observer_.named) observer_.named(peer, namer);
  if (candidates_.size() > kMaxCandidates) {
    const auto farthest = std::prev(candidates_.end());
    if (farthest->second.state == State::named) candidates_.erase(farthest);
  }
}

void Lookup::hand_on(const std::vector<PeerInfo>& providers, std::size_t round) {
  for (const PeerInfo& provider : providers) {
    if (enough_ || !on_provider_) return;
    if (++result_.providers == 1) result_.rounds_to_provider = round;
    enough_ = !on_provider_(provider);
  }
}

void Lookup::finish() {
  for (const auto& [distance, candidate] : candidates_) {
    if (result_.nearest.size() >= options_.k) break;
    // One that was asked when the search ended isn't to blame.
    const bool unasked = candidate.state == State::named || candidate.state == State::asked;
    const bool believed = unasked && !suspect(candidate);
    if (candidate.state == State::answered || (!options_.follow_up && believed)) {
      result_.nearest.push_back(candidate.peer);
    }
  }
}

}  // namespace hagring::kad
