// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "dht/kad/announcement.hpp"
#include "dht/kad/doorbell.hpp"
#include "dht/kad/rng.hpp"
#include "dht/kad/sweep_clock.hpp"

namespace hagring::kad {

/// How this node makes known what it has.
struct ProviderOptions {
  Duration interval = std::chrono::minutes(15);  ///< Spegel's; records are valid for 19
  /// What was told so recently is not told again when the sweep comes by.
  Duration fresh = std::chrono::minutes(1);
  /// How soon after it was told a key is told again because the network has grown.
  Duration settle = std::chrono::seconds(30);
  Duration retry = std::chrono::seconds(10);       ///< after a failure
  Duration pace = std::chrono::milliseconds(200);  ///< between regions that are told again
  std::size_t regions = 4;                         ///< in hand at once
  std::size_t tells = 16;                          ///< peers told at once, of each region
  std::size_t batch = 1000;                        ///< keys on one stream
  Duration tell_limit = std::chrono::seconds(10);  ///< go-libp2p-kad-dht's
};

/// Makes it known, and keeps it known, that this node has its own keys: each is told to the k
/// nearest peers once an interval, region by region of the key space, when the hand of a clock
/// that goes round the space comes by. Nodes' hands differ by their own keys, so those that
/// started together don't sweep together. New keys, and those that were missed while this node
/// was cut off, are told at once.
class Provider {
 public:
  using Addresses = std::vector<Multiaddr>;

  Provider(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc, TableKeeper& keeper,
           const RoutingTable& table, std::function<Addresses()> own_addresses,
           LookupOptions lookups, ProviderOptions options);

  /// Adds keys; those that are there already stay as they are.
  void provide(std::vector<Bytes> wire_keys);
  /// Forgets keys: they are no longer told, and others' records of them run out.
  void withdraw(const std::vector<Bytes>& wire_keys);

  /// Tells until cancelled.
  awaitable<void> run();

  const OwnKeys& keys() const { return keys_; }
  /// Of the keys, those that nobody has been told yet.
  std::size_t untold() const;

  /// Which keys were told when, at which addresses of ours, for a file.
  Bytes snapshot() const;
  /// Takes in a snapshot: keys in it that are provided again aren't told anew before their time,
  /// unless our addresses have changed. Errors: Errc::bad_message.
  Result<void> restore(ByteView snapshot);

 private:
  /// A part of the key space that one task has in hand.
  struct Claim {
    Key start;
    std::size_t bits;
    bool operator==(const Claim&) const = default;
    bool covers(const Key& key) const { return common_prefix_length(start, key) >= bits; }
  };
  struct Next {
    const Key* key = nullptr;
    TimePoint when = TimePoint::max();
  };

  std::size_t depth() const;
  TimePoint due(const Key& key, const OwnKey& own, std::size_t depth) const;
  bool is_known_to_few(const OwnKey& own) const;
  bool notice_addresses();
  Next next(const Claim* within) const;
  TimePoint start_due();
  awaitable<void> tell_claim(Claim claim);
  awaitable<bool> tell_region(Claim claim, Bytes wire_key);
  void settle(const std::vector<Announcement::Item>& items, std::size_t peers);

  asio::any_io_executor executor_;
  Clock& clock_;
  Rng& rng_;
  Rpc& rpc_;
  TableKeeper& keeper_;
  const RoutingTable& table_;
  std::function<Addresses()> own_addresses_;
  LookupOptions lookups_;
  ProviderOptions options_;
  SweepClock hand_;
  OwnKeys keys_;
  Addresses addresses_;       ///< sorted by their bytes, as the next
  Addresses told_addresses_;  ///< all that others were told since the last new one
  OwnKeys remembered_;        ///< of a snapshot, until they are provided again
  std::vector<Claim> claims_;
  TimePoint next_repetition_{};
  Doorbell bell_;
  TaskGroup tasks_;
};

}  // namespace hagring::kad
