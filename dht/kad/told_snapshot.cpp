// SPDX-License-Identifier: Apache-2.0
// The file form of what was told: numbers big-endian; "HKT1", the wall clock's seconds when it was
// written (8 bytes), then our addresses and the keys as counted lists.
#include "dht/kad/provider.hpp"
#include "dht/kad/snapshot_bytes.hpp"

namespace hagring::kad {
namespace {

constexpr std::string_view kMagic = "HKT1";

}  // namespace

Bytes Provider::snapshot() const {
  const TimePoint now = clock_.now();
  Bytes out(kMagic.begin(), kMagic.end());
  put(out, seconds_of(clock_.wall().time_since_epoch()), 8);
  put(out, told_addresses_.size(), 2);
  for (const Multiaddr& address : told_addresses_) put_counted(out, address.bytes(), 2);
  put(out, keys_.size() - untold() + remembered_.size(), 4);
  for (const OwnKeys* keys : {&keys_, &remembered_}) {
    for (const auto& [key, own] : *keys) {
      if (own.told == TimePoint()) continue;
      put(out, key.bytes());
      put(out, seconds_of(now - own.told), 4);
      put(out, own.told_to, 2);
      put(out, own.depth, 2);
    }
  }
  return out;
}

Result<void> Provider::restore(ByteView snapshot) {
  SnapshotSource source(snapshot);
  if (as_text(source.bytes(kMagic.size())) != kMagic) return Errc::bad_message;
  const std::uint64_t written = source.number(8);
  const std::uint64_t today = seconds_of(clock_.wall().time_since_epoch());
  // Written in the future: the calendar has been set back, and nothing is known.
  if (written > today) return {};
  Addresses addresses;
  for (std::uint64_t left = source.number(2); left > 0 && !source.failed(); --left) {
    addresses.emplace_back(source.counted(2));
  }
  const auto now = seconds_of(clock_.now().time_since_epoch());
  const auto most = seconds_of(2 * options_.interval);
  OwnKeys told;
  for (std::uint64_t left = source.number(4); left > 0 && !source.failed(); --left) {
    Key::Array bytes{};
    std::ranges::copy(source.bytes(bytes.size()), bytes.begin());
    const std::uint64_t age = source.number(4) + (today - written);
    OwnKey own;
    own.told_to = static_cast<std::uint16_t>(source.number(2));
    own.depth = static_cast<std::uint16_t>(source.number(2));
    // Not for ever: what has not been told for so long is told anew anyway.
    if (source.failed() || age >= now || age >= most) continue;
    own.told = clock_.now() - std::chrono::seconds(age);
    told.emplace(Key(bytes), own);
  }
  if (source.failed()) return Errc::bad_message;
  told_addresses_ = std::move(addresses);
  remembered_ = std::move(told);
  return {};
}

}  // namespace hagring::kad
