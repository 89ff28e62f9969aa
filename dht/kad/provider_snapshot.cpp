// SPDX-License-Identifier: Apache-2.0
// The file form of the provider store: numbers big-endian; "HKP2", the wall clock's seconds when it
// was written (8 bytes), then peers and records as counted lists.
#include <algorithm>

#include "dht/kad/message.hpp"
#include "dht/kad/provider_store.hpp"
#include "dht/kad/snapshot_bytes.hpp"

namespace hagring::kad {
namespace {

constexpr std::string_view kMagic = "HKP2";

}  // namespace

Bytes ProviderStore::snapshot() const {
  const TimePoint now = clock_.now();
  Bytes out(kMagic.begin(), kMagic.end());
  put(out, seconds_of(clock_.wall().time_since_epoch()), 8);
  std::unordered_map<const Peer*, std::uint32_t> numbers;
  put(out, peers_.size(), 4);
  for (const auto& [id, peer] : peers_) {
    numbers.emplace(&peer, static_cast<std::uint32_t>(numbers.size()));
    put_counted(out, id.bytes(), 1);
    put(out, peer.ip.bytes());
    put(out, seconds_of(peer.addresses_until - now), 4);
    put(out, peer.info.addresses.size(), 1);
    for (const Multiaddr& address : peer.info.addresses) {
      put_counted(out, address.bytes(), 2);
    }
  }
  put(out, records_, 4);
  for (const auto& [key, records] : providers_) {
    for (const Record& record : records) {
      put(out, key.bytes());
      put(out, numbers.at(record.peer), 4);
      put(out, seconds_of(record.until - now), 4);
    }
  }
  return out;
}

Result<void> ProviderStore::restore(ByteView snapshot) {
  SnapshotSource source(snapshot);
  if (as_text(source.bytes(kMagic.size())) != kMagic) return Errc::bad_message;
  const std::uint64_t written = source.number(8);
  const std::uint64_t today = seconds_of(clock_.wall().time_since_epoch());
  const std::uint64_t age = today > written ? today - written : 0;
  const TimePoint now = clock_.now();
  // A clock that jumped, or a file that was changed, must not make records live longer.
  const auto rest = [&](std::uint64_t left, Duration most) {
    return now + std::min<Duration>(std::chrono::seconds(left > age ? left - age : 0), most);
  };
  struct Restored {
    PeerInfo info;
    Ip ip;
    TimePoint addresses_until;
  };
  std::vector<Restored> restored;
  for (std::uint64_t left = source.number(4); left > 0 && !source.failed(); --left) {
    Restored peer;
    const auto id = PeerId::from_bytes(source.counted(1));
    peer.ip = Ip(source.bytes(16));
    peer.addresses_until = rest(source.number(4), options_.address_validity);
    for (std::uint64_t count = source.number(1); count > 0 && !source.failed(); --count) {
      const ByteView address = source.counted(2);
      if (peer.info.addresses.size() < kMaxAddresses) peer.info.addresses.emplace_back(address);
    }
    if (!id) return Errc::bad_message;
    peer.info.id = *id;
    restored.push_back(std::move(peer));
  }
  for (std::uint64_t left = source.number(4); left > 0 && !source.failed(); --left) {
    Key::Array bytes{};
    std::ranges::copy(source.bytes(bytes.size()), bytes.begin());
    const std::uint64_t number = source.number(4);
    const TimePoint until = rest(source.number(4), options_.validity);
    if (source.failed() || number >= restored.size()) return Errc::bad_message;
    if (until <= now) continue;
    const Restored& peer = restored[number];
    insert(Key(bytes), *peer_for(peer.info, peer.ip, peer.addresses_until), until);
  }
  if (source.failed()) return Errc::bad_message;
  return {};
}

}  // namespace hagring::kad
