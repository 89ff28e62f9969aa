// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/announcement.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

/// The first, and two for those that failed.
constexpr int kRounds = 3;

}  // namespace

Announcement::Announcement(asio::any_io_executor executor, Rpc& rpc, TableKeeper& keeper,
                           PeerInfo self, AnnouncementOptions options)
    : executor_(executor),
      rpc_(rpc),
      keeper_(keeper),
      self_(std::move(self)),
      options_(options),
      done_(executor, TimePoint::max()),
      workers_(executor, "providing") {}

awaitable<std::vector<Announcement::Item>> Announcement::tell(std::vector<Item> items,
                                                              Region region) {
  std::vector<std::pair<Key, const PeerInfo*>> peers;
  for (const auto& [key, peer] : region.peers) peers.emplace_back(key, &peer);
  // Enough for k and those that take a failed one's place.
  const std::size_t most = std::min(peers.size(), options_.k * 2);
  for (Item& item : items) {
    std::partial_sort(
        peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(most), peers.end(),
        [&](const auto& a, const auto& b) { return nearer(item.key, a.first, b.first); });
    for (std::size_t i = most; i > 0; --i) item.peers.push_back(peers[i - 1].second);
  }
  for (int round = 0; round < kRounds && !co_await asked_to_stop(); ++round) {
    auto batches = next_batches(items);
    if (batches.empty()) break;
    co_await send(std::move(batches));
  }
  co_return items;
}

/// What each peer is to be told so that every item comes to k.
std::vector<Announcement::Batch> Announcement::next_batches(std::vector<Item>& items) {
  std::map<PeerId, Batch> by_peer;
  for (Item& item : items) {
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

awaitable<void> Announcement::send(std::vector<Batch> batches) {
  batches_ = std::move(batches);
  running_ = std::min(options_.peers, batches_.size());
  for (std::size_t i = running_; i > 0; --i) {
    workers_.spawn([this] { return work(); });
  }
  while (running_ > 0 && !co_await asked_to_stop()) co_await done_.async_wait(kTuple);
  workers_.cancel();
  co_await workers_.drain();
}

awaitable<void> Announcement::work() {
  while (!batches_.empty() && !co_await asked_to_stop()) {
    const Batch batch = std::move(batches_.back());
    batches_.pop_back();
    if (failed_.contains(batch.peer->id)) continue;
    std::vector<Message> messages;
    messages.reserve(batch.items.size());
    for (const Item* item : batch.items) messages.push_back(message(*item));
    const auto told = co_await rpc_.tell(*batch.peer, std::move(messages), options_.limit);
    if (told) {
      for (Item* item : batch.items) ++item->told_to;
    } else if (!is_cancelled(told.error())) {
      failed_.insert(batch.peer->id);
      keeper_.failed(*batch.peer);
    }
  }
  if (--running_ == 0) done_.cancel();
}

Message Announcement::message(const Item& item) const {
  Message message;
  message.type = MessageType::add_provider;
  message.key = item.wire_key;
  message.provider_peers = {self_};
  return message;
}

}  // namespace hagring::kad
