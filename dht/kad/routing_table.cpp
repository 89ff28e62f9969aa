// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/routing_table.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

Ip ip_of(const PeerInfo& peer, Ip remote) { return remote.known() ? remote : peer.claimed_ip(); }

/// Whether `peer`'s addresses are proven by its connection, as far as there is one.
bool are_its_own(const PeerInfo& peer, Ip remote) {
  return !remote.known() || std::ranges::any_of(peer.addresses, [remote](const Multiaddr& address) {
    return Ip(address.ip()) == remote;
  });
}

/// A bucket's part of the key space has 2 to the power of this many corners: fewer than places.
constexpr std::size_t kCornerBits = 4;

/// Which corner of bucket `index` the key is in.
std::size_t corner(const Key& key, std::size_t index) {
  std::size_t number = 0;
  for (std::size_t bit = index + 1; bit <= index + kCornerBits && bit < Key::kBits; ++bit) {
    number = number << 1 | (key.bit(bit) ? 1U : 0U);
  }
  return number;
}

auto has_id(const PeerId& id) {
  return [&id](const RoutingTable::Entry& entry) { return entry.peer.id == id; };
}

}  // namespace

RoutingTable::RoutingTable(const PeerId& self, TableOptions options)
    : self_(self), self_key_(Key::of(self)), options_(options) {}

std::size_t RoutingTable::index_of(const Key& key) const {
  return common_prefix_length(self_key_, key);
}

const RoutingTable::Entry* RoutingTable::find(const PeerId& peer) const {
  const std::size_t index = index_of(Key::of(peer));
  if (index >= buckets_.size()) return nullptr;
  const auto& entries = buckets_[index].entries;
  const auto found = std::find_if(entries.begin(), entries.end(), has_id(peer));
  return found == entries.end() ? nullptr : &*found;
}

bool RoutingTable::too_many_of_its_ip(Ip ip, std::size_t index) const {
  // Threat: one machine with many identities would surround a key; its addresses are few.
  const auto counted = ip_counts_.find(ip);
  if (counted == ip_counts_.end()) return false;
  if (counted->second >= options_.same_ip_in_table) return true;
  if (index >= buckets_.size()) return false;
  const auto& entries = buckets_[index].entries;
  const auto same = std::ranges::count(entries, ip, &Entry::ip);
  return static_cast<std::size_t>(same) >= options_.same_ip_in_bucket;
}

RoutingTable::Place RoutingTable::place_for(const PeerInfo& peer, Ip remote) const {
  if (peer.id == self_ || peer.addresses.empty()) return Place::refused;
  const std::size_t index = index_of(Key::of(peer.id));
  if (index < buckets_.size()) {
    const auto& entries = buckets_[index].entries;
    if (std::any_of(entries.begin(), entries.end(), has_id(peer.id))) return Place::known;
  }
  if (too_many_of_its_ip(ip_of(peer, remote), index)) return Place::refused;
  const bool full =
      index < buckets_.size() && buckets_[index].entries.size() >= options_.bucket_size;
  if (!full) return Place::bucket;
  const bool displaces = spare(index, Key::of(peer.id)) != buckets_[index].entries.end();
  return displaces ? Place::bucket : Place::waiting;
}

std::vector<RoutingTable::Entry>::const_iterator RoutingTable::spare(std::size_t index,
                                                                     const Key& newcomer) const {
  const auto& entries = buckets_[index].entries;
  std::array<std::size_t, std::size_t{1} << kCornerBits> counts{};
  for (const Entry& entry : entries) ++counts[corner(entry.key, index)];
  const auto fullest = std::max_element(counts.begin(), counts.end());
  // Threat: many identities in one corner displace nobody elsewhere; the oldest of each corner
  // stay, since those that have stayed long will stay longer.
  if (*fullest < counts[corner(newcomer, index)] + 2) return entries.end();
  const auto number = static_cast<std::size_t>(fullest - counts.begin());
  for (auto entry = entries.end(); entry != entries.begin();) {
    if (corner((--entry)->key, index) == number) return entry;
  }
  return entries.end();
}

void RoutingTable::count_ip(Ip ip, int change) {
  if (!ip.known()) return;
  const auto counted = ip_counts_.try_emplace(ip, 0).first;
  if (change > 0) {
    ++counted->second;
  } else if (--counted->second == 0) {
    ip_counts_.erase(counted);
  }
}

RoutingTable::Place RoutingTable::admit(const PeerInfo& peer, TimePoint now, Ip remote) {
  const Place place = place_for(peer, remote);
  const Key key = Key::of(peer.id);
  const std::size_t index = index_of(key);
  const Ip ip = ip_of(peer, remote);
  if (place == Place::waiting) keep_waiting(peer);
  if (place == Place::known) {
    auto& entries = buckets_[index].entries;
    Entry& entry = *std::find_if(entries.begin(), entries.end(), has_id(peer.id));
    entry.answered = now;
    if (are_its_own(peer, remote)) {
      count_ip(entry.ip, -1);
      entry.peer.addresses = peer.addresses;
      entry.ip = ip;
      count_ip(ip, 1);
    }
  }
  if (place == Place::bucket) {
    if (index >= buckets_.size()) buckets_.resize(index + 1);
    if (buckets_[index].entries.size() >= options_.bucket_size) displace(index, key);
    buckets_[index].entries.push_back({peer, key, ip, now});
    std::erase_if(buckets_[index].waiting,
                  [&peer](const PeerInfo& other) { return other.id == peer.id; });
    count_ip(ip, 1);
    ++size_;
  }
  return place;
}

void RoutingTable::displace(std::size_t index, const Key& newcomer) {
  const PeerInfo displaced = spare(index, newcomer)->peer;
  remove(displaced.id);
  keep_waiting(displaced);
}

void RoutingTable::keep_waiting(const PeerInfo& peer) {
  const std::size_t index = index_of(Key::of(peer.id));
  if (index >= buckets_.size()) return;
  auto& waiting = buckets_[index].waiting;
  std::erase_if(waiting, [&peer](const PeerInfo& other) { return other.id == peer.id; });
  waiting.push_back(peer);
  if (waiting.size() > options_.replacements) waiting.erase(waiting.begin());
}

void RoutingTable::answered(const PeerId& peer, TimePoint now) {
  const std::size_t index = index_of(Key::of(peer));
  if (index >= buckets_.size()) return;
  auto& entries = buckets_[index].entries;
  const auto found = std::find_if(entries.begin(), entries.end(), has_id(peer));
  if (found != entries.end()) found->answered = now;
}

std::optional<PeerInfo> RoutingTable::remove(const PeerId& peer) {
  const std::size_t index = index_of(Key::of(peer));
  if (index >= buckets_.size()) return std::nullopt;
  auto& entries = buckets_[index].entries;
  const auto found = std::find_if(entries.begin(), entries.end(), has_id(peer));
  if (found == entries.end()) return std::nullopt;
  PeerInfo removed = std::move(found->peer);
  count_ip(found->ip, -1);
  entries.erase(found);
  --size_;
  while (!buckets_.empty() && buckets_.back().entries.empty() && buckets_.back().waiting.empty()) {
    buckets_.pop_back();
  }
  return removed;
}

std::optional<PeerInfo> RoutingTable::take_waiting(const Key& key) {
  const std::size_t index = index_of(key);
  if (index >= buckets_.size() || buckets_[index].waiting.empty()) return std::nullopt;
  PeerInfo newest = std::move(buckets_[index].waiting.back());
  buckets_[index].waiting.pop_back();
  return newest;
}

std::vector<PeerInfo> RoutingTable::nearest(const Key& target, std::size_t count,
                                            const PeerId* except) const {
  std::vector<const Entry*> found;
  const auto take = [&](std::size_t index) {
    for (const Entry& entry : buckets_[index].entries) {
      if (!except || entry.peer.id != *except) found.push_back(&entry);
    }
  };
  // The target's own bucket is nearest; those beyond it are all equally far by prefix; those
  // before it are farther each.
  const std::size_t own = index_of(target);
  if (own < buckets_.size()) take(own);
  if (found.size() < count) {
    for (std::size_t index = own + 1; index < buckets_.size(); ++index) take(index);
  }
  for (std::size_t index = std::min(own, buckets_.size()); index > 0 && found.size() < count;) {
    take(--index);
  }
  const std::size_t size = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(size), found.end(),
                    [&](const Entry* a, const Entry* b) { return nearer(target, a->key, b->key); });
  std::vector<PeerInfo> peers;
  peers.reserve(size);
  for (std::size_t i = 0; i < size; ++i) peers.push_back(found[i]->peer);
  return peers;
}

std::size_t RoutingTable::bucket_count(std::size_t index) const {
  return index < buckets_.size() ? buckets_[index].entries.size() : 0;
}

std::vector<PeerInfo> RoutingTable::silent_since(TimePoint before, std::size_t count) const {
  std::vector<const Entry*> silent;
  for (const Bucket& bucket : buckets_) {
    for (const Entry& entry : bucket.entries) {
      if (entry.answered < before) silent.push_back(&entry);
    }
  }
  std::sort(silent.begin(), silent.end(),
            [](const Entry* a, const Entry* b) { return a->answered < b->answered; });
  silent.resize(std::min(silent.size(), count));
  std::vector<PeerInfo> peers;
  peers.reserve(silent.size());
  for (const Entry* entry : silent) peers.push_back(entry->peer);
  return peers;
}

std::vector<PeerInfo> RoutingTable::peers() const {
  std::vector<PeerInfo> all;
  all.reserve(size_);
  for (const Bucket& bucket : buckets_) {
    for (const Entry& entry : bucket.entries) all.push_back(entry.peer);
  }
  return all;
}

}  // namespace hagring::kad
