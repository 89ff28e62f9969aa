// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "dht/kad/key.hpp"
#include "dht/kad/peer.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// Limits of a routing table.
struct TableOptions {
  std::size_t bucket_size = 20;  ///< k (kad-dht specification)
  /// Candidates that wait for a place in a full bucket.
  std::size_t replacements = 8;
  /// Peers of one IP address in one bucket and in all, as go-libp2p-kbucket's diversity filter
  /// counts them. It groups by /16; a cluster often is one /16, so here a group is one address.
  std::size_t same_ip_in_bucket = 2;
  std::size_t same_ip_in_table = 3;
};

/// The peers that this node knows, in a bucket for each length of prefix shared with its own key.
/// Passive: whoever admits a peer has checked that it answers (see TableKeeper). A full bucket's
/// peers are kept spread over its part of the key space: a newcomer from a corner that few of them
/// are in takes the place of the youngest from the fullest corner. Searches fill a bucket with
/// neighbours of each other, and from spread peers every target is nearer.
/// Threat: addresses are the peer's to claim, or whoever names it. So peers are counted by the
/// other end of their connection, `remote` below, and a known peer's addresses are replaced only by
/// such that have it among them.
class RoutingTable {
 public:
  /// What the table does, or would do, with a peer.
  enum class Place {
    refused,  ///< ourselves, no address, or too many of its IP address
    known,    ///< it is in its bucket
    waiting,  ///< its bucket is full: kept for when a place is free
    bucket,   ///< its bucket has room, or one to spare
  };

  struct Entry {
    PeerInfo peer;
    Key key;
    Ip ip;               ///< of its connection; as claimed when there was none
    TimePoint answered;  ///< when it last answered us
  };

  RoutingTable(const PeerId& self, TableOptions options);

  const PeerId& self() const { return self_; }
  const Key& self_key() const { return self_key_; }

  /// What admit() would do; a candidate is worth a check when it is `bucket`.
  Place place_for(const PeerInfo& peer, Ip remote = {}) const;

  /// Takes in a peer that has just answered. A known peer's addresses and time are renewed.
  Place admit(const PeerInfo& peer, TimePoint now, Ip remote = {});

  /// Remembers an unchecked peer whose bucket is full.
  void keep_waiting(const PeerInfo& peer);

  /// A peer answered a request: renews its time if it is known.
  void answered(const PeerId& peer, TimePoint now);

  /// Removes a peer that failed to answer; its entry, or nullopt when it wasn't known.
  std::optional<PeerInfo> remove(const PeerId& peer);

  /// The most recent waiting candidate for the bucket that `key` falls into; it leaves the list.
  std::optional<PeerInfo> take_waiting(const Key& key);

  /// The `count` peers nearest to `target`, nearest first, without `except`.
  std::vector<PeerInfo> nearest(const Key& target, std::size_t count,
                                const PeerId* except = nullptr) const;

  const Entry* find(const PeerId& peer) const;

  std::size_t size() const { return size_; }
  /// No bucket has ever had to turn anybody away: all that have been met are in it.
  bool is_complete() const { return size_ < options_.bucket_size; }
  /// One more than the longest prefix that any entry shares with us.
  std::size_t depth() const { return buckets_.size(); }
  std::size_t bucket_count(std::size_t index) const;

  /// Entries that haven't answered since `before`, the longest silent first, at most `count`.
  std::vector<PeerInfo> silent_since(TimePoint before, std::size_t count) const;

  /// All peers, those nearest to us last.
  std::vector<PeerInfo> peers() const;

 private:
  struct Bucket {
    std::vector<Entry> entries;
    std::vector<PeerInfo> waiting;  ///< oldest first
  };

  std::size_t index_of(const Key& key) const;
  /// The entry that a newcomer may displace; end() when the bucket is spread enough.
  std::vector<Entry>::const_iterator spare(std::size_t index, const Key& newcomer) const;
  void displace(std::size_t index, const Key& newcomer);
  bool too_many_of_its_ip(Ip ip, std::size_t index) const;
  void count_ip(Ip ip, int change);

  PeerId self_;
  Key self_key_;
  TableOptions options_;
  std::vector<Bucket> buckets_;  ///< by length of the shared prefix
  std::size_t size_ = 0;
  std::unordered_map<Ip, std::size_t> ip_counts_;
};

}  // namespace hagring::kad
