// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider_store.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

/// Of a full store, this part is freed at a time.
constexpr std::size_t kShareFreed = 64;

/// To which number all larger ones of `counts`, in ascending order, must come down so that the sum
/// becomes smaller by `excess` or more.
std::size_t level(const std::vector<std::size_t>& counts, std::size_t excess) {
  std::size_t above = 0;
  std::size_t freed = 0;
  for (std::size_t i = counts.size(); i > 0; --i) {
    ++above;
    const std::size_t next = i > 1 ? counts[i - 2] : 0;
    const std::size_t step = (counts[i - 1] - next) * above;
    if (freed + step >= excess) {
      return counts[i - 1] - (excess - freed + above - 1) / above;
    }
    freed += step;
  }
  return 0;
}

}  // namespace

ProviderStore::ProviderStore(Clock& clock, ProviderStoreOptions options)
    : clock_(clock), options_(options) {}

bool ProviderStore::add(const Key& key, const PeerInfo& provider, Ip remote) {
  const TimePoint now = clock_.now();
  const Ip ip = remote.known() ? remote : provider.claimed_ip();
  Peer* peer = peer_for(provider, ip, now + options_.address_validity);
  return insert(key, *peer, now + options_.validity);
}

ProviderStore::Peer* ProviderStore::peer_for(const PeerInfo& provider, Ip ip,
                                             TimePoint addresses_until) {
  Peer& peer = peers_[provider.id];
  peer.info = provider;
  peer.ip = ip;
  peer.addresses_until = addresses_until;
  return &peer;
}

bool ProviderStore::insert(const Key& key, Peer& peer, TimePoint until) {
  const auto known = providers_.find(key);
  if (known != providers_.end()) {
    for (Record& record : known->second) {
      if (record.peer != &peer) continue;
      record.until = std::max(record.until, until);
      return true;
    }
  }
  if (peer.records >= options_.max_records_of_a_peer) {
    if (peer.records == 0) peers_.erase(PeerId(peer.info.id));
    return false;
  }
  ++peer.records;  // first, so that it stays whoever makes room
  if (records_ >= options_.max_records) make_room();
  auto& records = providers_[key];
  if (records.size() >= options_.max_providers_of_a_key) make_room_for(peer, records);
  records.push_back({&peer, until});
  ++records_;
  return true;
}

/// Takes some records of those IP addresses that have most, down to the same number each. It looks
/// at all there are, so it frees enough for a while.
void ProviderStore::make_room() {
  std::unordered_map<Ip, std::size_t> held;
  for (const auto& [id, peer] : peers_) held[peer.ip] += peer.records;
  std::vector<std::size_t> counts;
  counts.reserve(held.size());
  for (const auto& [ip, count] : held) counts.push_back(count);
  std::ranges::sort(counts);
  std::size_t excess = records_ - options_.max_records + 1 + options_.max_records / kShareFreed;
  const std::size_t most = level(counts, excess);
  for (auto key = providers_.begin(); key != providers_.end();) {
    std::erase_if(key->second, [&](const Record& record) {
      std::size_t& count = held.at(record.peer->ip);
      if (count <= most || excess == 0) return false;
      --count;
      --excess;
      forget(record);
      return true;
    });
    key = key->second.empty() ? providers_.erase(key) : std::next(key);
  }
}

/// The same for one key: the record goes that is nearest to its end, of the IP address with most.
void ProviderStore::make_room_for(const Peer& newcomer, std::vector<Record>& records) {
  std::unordered_map<Ip, std::size_t> held{{newcomer.ip, 1}};
  for (const Record& record : records) ++held[record.peer->ip];
  const auto first = std::ranges::min_element(records, {}, [&held](const Record& record) {
    return std::pair(-static_cast<std::ptrdiff_t>(held.at(record.peer->ip)), record.until);
  });
  forget(*first);
  records.erase(first);
}

void ProviderStore::forget(const Record& record) {
  --records_;
  if (--record.peer->records == 0) peers_.erase(PeerId(record.peer->info.id));
}

std::vector<PeerInfo> ProviderStore::find(const Key& key) const {
  const auto known = providers_.find(key);
  if (known == providers_.end()) return {};
  const TimePoint now = clock_.now();
  std::vector<Record> valid;
  for (const Record& record : known->second) {
    if (record.until > now) valid.push_back(record);
  }
  std::sort(valid.begin(), valid.end(),
            [](const Record& a, const Record& b) { return a.until > b.until; });
  std::vector<PeerInfo> found;
  found.reserve(valid.size());
  for (const Record& record : valid) {
    found.push_back(record.peer->info);
    if (record.peer->addresses_until <= now) found.back().addresses.clear();
  }
  return found;
}

void ProviderStore::collect() {
  const TimePoint now = clock_.now();
  for (auto key = providers_.begin(); key != providers_.end();) {
    std::erase_if(key->second, [&](const Record& record) {
      if (record.until > now) return false;
      forget(record);
      return true;
    });
    key = key->second.empty() ? providers_.erase(key) : std::next(key);
  }
}

}  // namespace hagring::kad
