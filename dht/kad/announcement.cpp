// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/announcement.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace hagring::kad {
namespace {

/// The first, and two for those that failed.
constexpr int kRounds = 3;

}  // namespace

Announcement::Announcement(asio::any_io_executor executor, Clock& clock, Rpc& rpc,
                           TableKeeper& keeper, PeerInfo self, AnnouncementOptions options)
    : clock_(clock),
      rpc_(rpc),
      keeper_(keeper),
      self_(std::move(self)),
      options_(options),
      changed_(executor, clock_),
      tasks_(executor, "providing") {}

awaitable<std::vector<Announcement::Item>> Announcement::tell(std::vector<Item> items,
                                                              Region region) {
  items_ = std::move(items);
  region_ = std::move(region);
  std::vector<std::pair<Key, const PeerInfo*>> peers;
  for (const auto& [key, peer] : region_.peers) peers.emplace_back(key, &peer);
  // Enough for k and those that take a failed one's place.
  const std::size_t most = std::min(peers.size(), options_.k * 2);
  for (Item& item : items_) {
    std::partial_sort(
        peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(most), peers.end(),
        [&](const auto& a, const auto& b) { return nearer(item.key, a.first, b.first); });
    for (std::size_t i = most; i > 0; --i) item.peers.push_back(peers[i - 1].second);
  }
  for (int round = 0; round < kRounds && !co_await asked_to_stop(); ++round) {
    waiting_ = next_batches();
    if (waiting_.empty()) break;
    while (start_tells() && !co_await asked_to_stop()) co_await changed_.wait();
  }
  if (outstanding_ == 0 || co_await asked_to_stop()) {
    tasks_.cancel();
    co_await tasks_.drain();
  }
  co_return items_;
}

awaitable<void> Announcement::run_on() {
  while (outstanding_ > 0 && !co_await asked_to_stop()) co_await changed_.wait();
  tasks_.cancel();
  co_await tasks_.drain();
}

/// What each peer is to be told so that every item comes to k.
std::vector<Announcement::Batch> Announcement::next_batches() {
  std::map<PeerId, Batch> by_peer;
  for (Item& item : items_) {
    for (std::size_t missing = options_.k - std::min<std::size_t>(item.told_to, options_.k);
         missing > 0 && !item.peers.empty();) {
      const PeerInfo* peer = item.peers.back();
      item.peers.pop_back();
      if (failed_.contains(peer->id)) continue;
      Batch& batch = by_peer[peer->id];
      batch.peer = peer;
      batch.items.push_back(&item);
      --missing;
    }
  }
  std::vector<Batch> batches;
  for (const auto& [id, whole] : by_peer) {
    for (std::size_t i = 0; i < whole.items.size(); i += options_.batch) {
      const auto first = whole.items.begin() + static_cast<std::ptrdiff_t>(i);
      const std::size_t size = std::min(options_.batch, whole.items.size() - i);
      batches.push_back({whole.peer, {first, first + static_cast<std::ptrdiff_t>(size)}});
    }
  }
  return batches;
}

/// Keeps so many in flight; false when none is left but those that stall.
bool Announcement::start_tells() {
  while (in_flight_ < options_.peers && !waiting_.empty()) {
    Batch batch = std::move(waiting_.back());
    waiting_.pop_back();
    if (failed_.contains(batch.peer->id)) continue;
    Tell& tell = tells_.emplace_back(std::move(batch));
    ++in_flight_;
    ++outstanding_;
    tasks_.spawn([this, &tell] { return send(tell); });
    tasks_.spawn([this, &tell] { return watch(tell); });
  }
  return in_flight_ > 0;
}

awaitable<void> Announcement::send(Tell& tell) {
  const PeerInfo& peer = *tell.batch.peer;
  std::vector<Message> messages;
  messages.reserve(tell.batch.items.size());
  for (const Item* item : tell.batch.items) messages.push_back(message(*item));
  const auto told = co_await rpc_.tell(peer, std::move(messages), options_.limit);
  if (told) {
    for (Item* item : tell.batch.items) ++item->told_to;
  } else if (!is_cancelled(told.error())) {
    failed_.insert(peer.id);
    keeper_.failed(peer);
  }
  if (std::exchange(tell.in_flight, false)) --in_flight_;
  --outstanding_;
  changed_.ring();
}

awaitable<void> Announcement::watch(Tell& tell) {
  co_await clock_.sleep_for(options_.stall_after);
  if (co_await asked_to_stop() || !std::exchange(tell.in_flight, false)) co_return;
  --in_flight_;
  failed_.insert(tell.batch.peer->id);
  changed_.ring();
}

Message Announcement::message(const Item& item) const {
  Message message;
  message.type = MessageType::add_provider;
  message.key = item.wire_key;
  message.provider_peers = {self_};
  return message;
}

}  // namespace hagring::kad
