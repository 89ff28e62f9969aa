// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/table_keeper.hpp"

#include <algorithm>

#include "dht/kad/preimage.hpp"

namespace hagring::kad {
namespace {

/// Buckets beyond are refreshed by the search for ourselves.
constexpr std::size_t kMaxRefreshedBuckets = 12;

/// Peers that answer for one candidate.
constexpr std::size_t kMaxNamers = 20;

/// Checks at a time of what one peer names that are for its own trial only.
constexpr std::size_t kMostProofs = 2;

Bytes wire_key_of(const PeerId& id) { return {id.bytes().begin(), id.bytes().end()}; }

}  // namespace

TableKeeper::TableKeeper(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc,
                         RoutingTable& table, KeeperOptions options, LookupOptions lookups)
    : executor_(executor),
      clock_(clock),
      rng_(rng),
      rpc_(rpc),
      table_(table),
      options_(options),
      lookups_(lookups),
      checks_(executor, "the routing table's checks") {
  lookups_.follow_up = false;
}

void TableKeeper::consider(const PeerInfo& peer, const PeerId& namer) {
  if (stopped_) return;
  if (const auto pending = pending_.find(peer.id); pending != pending_.end()) {
    // Threat: liars name the same peers; each is to answer for it.
    Namers& namers = pending->second;
    const bool noted = std::ranges::find(namers, namer) != namers.end();
    if (!noted && namers.size() < kMaxNamers) namers.push_back(namer);
    return;
  }
  const auto place = table_.place_for(peer, rpc_.remote(peer));
  if (place == RoutingTable::Place::known) judge(namer, true);
  if (place == RoutingTable::Place::waiting) table_.keep_waiting(peer);
  if (!is_worth_a_check(peer, {namer}) || queue_.size() >= options_.queue) return;
  if (vouching_.is_banned(peer.id, clock_.now())) return;
  pending_.emplace(peer.id, Namers{namer});
  queue_.push_back(peer);
  start_checks();
}

/// There is room for it, or it would be the first proof that a namer tells the truth.
bool TableKeeper::is_worth_a_check(const PeerInfo& peer, const Namers& namers) const {
  const auto place = table_.place_for(peer, rpc_.remote(peer));
  if (place != RoutingTable::Place::waiting) return place == RoutingTable::Place::bucket;
  return std::ranges::any_of(namers, [this](const PeerId& namer) {
    return table_.find(namer) && !vouching_.is_proven(namer) && pending_of(namer) <= kMostProofs;
  });
}

std::size_t TableKeeper::pending_of(const PeerId& namer) const {
  return static_cast<std::size_t>(std::ranges::count_if(pending_, [&](const auto& pending) {
    return std::ranges::find(pending.second, namer) != pending.second.end();
  }));
}

void TableKeeper::start_checks() {
  if (!stopped_ && !queue_.empty() && checks_.size() < options_.checks) {
    checks_.spawn([this] { return check_queue(); });
  }
}

awaitable<void> TableKeeper::check_queue() {
  while (!stopped_ && !queue_.empty()) {
    const PeerInfo peer = std::move(queue_.front());
    queue_.pop_front();
    if (is_worth_a_check(peer, pending_[peer.id])) {
      co_await check(peer);
    } else {
      pending_.erase(peer.id);
    }
  }
}

awaitable<void> TableKeeper::check(PeerInfo peer) {
  Message request;
  request.type = MessageType::find_node;
  request.key = wire_key_of(table_.self());
  const auto reply = co_await rpc_.ask(peer, std::move(request), options_.check_limit);
  const auto pending = pending_.extract(peer.id);
  const Namers namers = pending ? pending.mapped() : Namers();
  // A node whose table is empty can't have heard of others; in a grown network that is suspicious.
  const bool useful = reply && reply->type == MessageType::find_node &&
                      (!reply->closer_peers.empty() || table_.size() < 20);
  if (useful) {
    for (const PeerId& namer : namers) judge(namer, true);
    answered(peer);
    for (const PeerInfo& other : reply->closer_peers) consider(other, peer.id);
  } else if (reply || !is_cancelled(reply.error())) {
    failed(peer);
    for (const PeerId& namer : namers) judge(namer, false);
  }
}

/// Notes that a peer that `namer`, one of the table, named is there, or isn't.
void TableKeeper::judge(const PeerId& namer, bool alive) {
  if (namer == PeerId() || namer == table_.self() || !table_.find(namer)) return;
  if (alive) {
    vouching_.alive(namer);
  } else if (vouching_.dead(namer)) {
    ban(namer);
  }
}

void TableKeeper::ban(const PeerId& liar) {
  table_.remove(liar);
  vouching_.forget(liar);
  vouching_.ban(liar, clock_.now() + options_.ban);
  if (const auto next = table_.take_waiting(Key::of(liar))) consider(*next);
}

void TableKeeper::answered(const PeerInfo& peer) {
  if (vouching_.is_banned(peer.id, clock_.now())) return;
  table_.admit(peer, clock_.now(), rpc_.remote(peer));
  std::erase_if(lapsed_, [&](const Lapsed& lapsed) { return lapsed.peer.id == peer.id; });
}

void TableKeeper::failed(const PeerInfo& peer) {
  const bool removed = table_.remove(peer.id).has_value();
  vouching_.forget(peer.id);
  const auto lapsed = std::find_if(lapsed_.begin(), lapsed_.end(),
                                   [&](const Lapsed& other) { return other.peer.id == peer.id; });
  if (lapsed != lapsed_.end()) {
    lapsed->wait = std::min(lapsed->wait * 2, options_.refresh);
    lapsed->next = clock_.now() + lapsed->wait;
  } else if (removed) {
    lapsed_.push_back({peer, clock_.now() + options_.first_retry, options_.first_retry});
    if (lapsed_.size() > options_.lapsed) lapsed_.pop_front();
  }
  if (!removed) return;
  if (const auto next = table_.take_waiting(Key::of(peer.id))) consider(*next);
}

Lookup::Observer TableKeeper::observer() {
  return {[this](const PeerInfo& peer) { answered(peer); },
          [this](const PeerInfo& peer) { failed(peer); },
          [this](const PeerInfo& peer, const PeerId& namer) { consider(peer, namer); }};
}

awaitable<bool> TableKeeper::join(std::vector<PeerInfo> seeds) {
  Lookup lookup(executor_, clock_, rpc_, table_.self(), lookups_, observer());
  co_await lookup.find_nearest(wire_key_of(table_.self()), std::move(seeds));
  if (!co_await asked_to_stop()) co_await refresh();
  co_return table_.size() > 0;
}

awaitable<void> TableKeeper::search(Key target, Bytes wire_key) {
  Lookup lookup(executor_, clock_, rpc_, table_.self(), lookups_, observer());
  co_await lookup.find_nearest(target, std::move(wire_key), table_.nearest(target, lookups_.k));
}

awaitable<void> TableKeeper::refresh() {
  const Bytes self = wire_key_of(table_.self());
  co_await search(table_.self_key(), self);
  const std::size_t depth = std::min(table_.depth(), kMaxRefreshedBuckets);
  for (std::size_t bucket = 0; bucket < depth; ++bucket) {
    if (co_await asked_to_stop()) co_return;
    const Key place = table_.self_key().sibling(bucket, rng_.key());
    const Bytes wire_key = wire_key_near(place, bucket + 1);
    co_await search(Key::of(wire_key), wire_key);
  }
  for (const PeerInfo& peer : table_.silent_since(clock_.now() - options_.silent, 40)) {
    if (co_await asked_to_stop()) co_return;
    co_await check(peer);
  }
}

void TableKeeper::retry_lapsed() {
  const TimePoint now = clock_.now();
  for (Lapsed& lapsed : lapsed_) {
    if (lapsed.next > now) continue;
    lapsed.wait = std::min(lapsed.wait * 2, options_.refresh);
    lapsed.next = now + lapsed.wait;
    consider(lapsed.peer);
  }
}

awaitable<void> TableKeeper::run() {
  TimePoint next_refresh = clock_.now() + options_.refresh;
  while (!co_await asked_to_stop()) {
    // Not in step with all the nodes that started together.
    const double share = 0.75 + rng_.fraction() / 2;
    co_await clock_.sleep_for(std::chrono::duration_cast<Duration>(options_.tick * share));
    if (co_await asked_to_stop()) co_return;
    retry_lapsed();
    if (clock_.now() < next_refresh) continue;
    next_refresh =
        clock_.now() + std::chrono::duration_cast<Duration>(options_.refresh * (1.25 - share / 4));
    co_await refresh();
  }
}

awaitable<void> TableKeeper::stop() {
  stopped_ = true;
  queue_.clear();
  checks_.cancel();
  co_await checks_.drain();
}

}  // namespace hagring::kad
