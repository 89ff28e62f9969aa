// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "dht/kad/key.hpp"
#include "dht/kad/peer.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// Lives and limits of provider records.
struct ProviderStoreOptions {
  /// Spegel's: its interval of 15 min and twice the 2 min that a repetition may be late.
  Duration validity = std::chrono::minutes(19);
  Duration address_validity = std::chrono::hours(1);
  /// A record takes about 100 bytes; of 1,000 nodes with 600 keys each node holds 12,000.
  std::size_t max_records = 400'000;
  /// So that one peer can't take all of it.
  std::size_t max_records_of_a_peer = 40'000;
  std::size_t max_providers_of_a_key = 256;
};

/// The provider records that others asked this node to keep. Threat: one member makes itself many
/// identities and fills it. So what is full makes room at the expense of the IP address that has
/// most of it: whoever has few keeps them.
class ProviderStore {
 public:
  ProviderStore(Clock& clock, ProviderStoreOptions options);

  /// Keeps, or keeps longer, that `provider` has `key`; its addresses replace those known. `remote`
  /// is the other end of its connection, to count by; unknown: its own first address. False when
  /// it has reached the limit of a peer.
  bool add(const Key& key, const PeerInfo& provider, Ip remote = {});

  /// Those that have `key`, the latest first; addresses that are past their time are left out.
  std::vector<PeerInfo> find(const Key& key) const;

  /// Frees what is past its time.
  void collect();

  std::size_t records() const { return records_; }
  std::size_t keys() const { return providers_.size(); }
  std::size_t peers() const { return peers_.size(); }

  /// All valid records as bytes, for a file that the next start reads: without them a rolling
  /// update would forget every key until its next repetition.
  Bytes snapshot() const;

  /// Takes in a snapshot's records for the rest of their time. Errors: Errc::bad_message when it
  /// is none; what could be read until there is kept.
  Result<void> restore(ByteView snapshot);

 private:
  struct Peer {
    PeerInfo info;
    Ip ip;
    TimePoint addresses_until;
    std::size_t records = 0;
  };
  struct Record {
    Peer* peer;  ///< in peers_, whose nodes don't move
    TimePoint until;
  };

  Peer* peer_for(const PeerInfo& provider, Ip ip, TimePoint addresses_until);
  bool insert(const Key& key, Peer& peer, TimePoint until);
  void make_room();
  void make_room_for(const Peer& newcomer, std::vector<Record>& records);
  void forget(const Record& record);

  Clock& clock_;
  ProviderStoreOptions options_;
  std::unordered_map<Key, std::vector<Record>> providers_;
  std::unordered_map<PeerId, Peer> peers_;
  std::size_t records_ = 0;
};

}  // namespace hagring::kad
