// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider_store.hpp"

#include <algorithm>

namespace hagring::kad {

ProviderStore::ProviderStore(Clock& clock, ProviderStoreOptions options)
    : clock_(clock), options_(options) {}

bool ProviderStore::add(const Key& key, const PeerInfo& provider) {
  const TimePoint now = clock_.now();
  Peer* peer = peer_for(provider, now + options_.address_validity);
  return insert(key, *peer, now + options_.validity);
}

ProviderStore::Peer* ProviderStore::peer_for(const PeerInfo& provider, TimePoint addresses_until) {
  Peer& peer = peers_[provider.id];
  peer.info = provider;
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
  if (peer.records >= options_.max_records_of_a_peer || records_ >= options_.max_records) {
    if (peer.records == 0) peers_.erase(PeerId(peer.info.id));
    return false;
  }
  auto& records = providers_[key];
  if (records.size() >= options_.max_providers_of_a_key) {
    const auto first =
        std::min_element(records.begin(), records.end(),
                         [](const Record& a, const Record& b) { return a.until < b.until; });
    forget(*first);
    records.erase(first);
  }
  records.push_back({&peer, until});
  ++peer.records;
  ++records_;
  return true;
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
