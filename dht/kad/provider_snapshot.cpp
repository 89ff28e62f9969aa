// SPDX-License-Identifier: Apache-2.0
// The file form of the provider store: numbers big-endian; "HKP1", the wall clock's seconds when it
// was written (8 bytes), then peers and records as counted lists.
#include <algorithm>

#include "dht/kad/message.hpp"
#include "dht/kad/provider_store.hpp"

namespace hagring::kad {
namespace {

constexpr std::string_view kMagic = "HKP1";

std::uint64_t seconds(auto duration) {
  const auto count = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

void put(Bytes& out, std::uint64_t value, unsigned size) {
  while (size > 0) out.push_back(static_cast<std::uint8_t>(value >> (8 * --size)));
}

void put(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Reads until the end; afterwards everything is zero and empty and failed() holds.
class Source {
 public:
  explicit Source(ByteView rest) : rest_(rest) {}

  bool failed() const { return failed_; }

  ByteView bytes(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::uint64_t number(unsigned size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8 | byte;
    return value;
  }

 private:
  ByteView rest_;
  bool failed_ = false;
};

}  // namespace

Bytes ProviderStore::snapshot() const {
  const TimePoint now = clock_.now();
  Bytes out(kMagic.begin(), kMagic.end());
  put(out, seconds(clock_.wall().time_since_epoch()), 8);
  std::unordered_map<const Peer*, std::uint32_t> numbers;
  put(out, peers_.size(), 4);
  for (const auto& [id, peer] : peers_) {
    numbers.emplace(&peer, static_cast<std::uint32_t>(numbers.size()));
    put(out, id.bytes().size(), 1);
    put(out, id.bytes());
    put(out, seconds(peer.addresses_until - now), 4);
    put(out, peer.info.addresses.size(), 1);
    for (const Multiaddr& address : peer.info.addresses) {
      put(out, address.bytes().size(), 2);
      put(out, address.bytes());
    }
  }
  put(out, records_, 4);
  for (const auto& [key, records] : providers_) {
    for (const Record& record : records) {
      put(out, key.bytes());
      put(out, numbers.at(record.peer), 4);
      put(out, seconds(record.until - now), 4);
    }
  }
  return out;
}

Result<void> ProviderStore::restore(ByteView snapshot) {
  Source source(snapshot);
  if (as_text(source.bytes(kMagic.size())) != kMagic) return Errc::bad_message;
  const std::uint64_t written = source.number(8);
  const std::uint64_t today = seconds(clock_.wall().time_since_epoch());
  const std::uint64_t age = today > written ? today - written : 0;
  const TimePoint now = clock_.now();
  // A clock that jumped, or a file that was changed, must not make records live longer.
  const auto rest = [&](std::uint64_t left, Duration most) {
    return now + std::min<Duration>(std::chrono::seconds(left > age ? left - age : 0), most);
  };
  struct Restored {
    PeerInfo info;
    TimePoint addresses_until;
  };
  std::vector<Restored> restored;
  for (std::uint64_t left = source.number(4); left > 0 && !source.failed(); --left) {
    Restored peer;
    const auto id = PeerId::from_bytes(source.bytes(source.number(1)));
    peer.addresses_until = rest(source.number(4), options_.address_validity);
    for (std::uint64_t count = source.number(1); count > 0 && !source.failed(); --count) {
      const ByteView address = source.bytes(source.number(2));
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
    insert(Key(bytes), *peer_for(restored[number].info, restored[number].addresses_until), until);
  }
  if (source.failed()) return Errc::bad_message;
  return {};
}

}  // namespace hagring::kad
