// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "dht/kad/lookup.hpp"
#include "dht/kad/rng.hpp"
#include "dht/kad/routing_table.hpp"
#include "dht/kad/vouching.hpp"

namespace hagring::kad {

/// Times and limits of the routing table's care.
struct KeeperOptions {
  Duration check_limit = std::chrono::seconds(10);  ///< go-libp2p-kad-dht's
  std::size_t checks = 8;                           ///< in flight
  std::size_t queue = 128;                          ///< candidates that wait for a check
  Duration tick = std::chrono::seconds(10);
  Duration refresh = std::chrono::minutes(10);      ///< go-libp2p-kad-dht's
  Duration silent = std::chrono::minutes(20);       ///< after which an entry is asked again
  std::size_t lapsed = 64;                          ///< failed peers that are tried again
  Duration ban = std::chrono::hours(1);             ///< of a peer that names dead ones only
  Duration first_retry = std::chrono::seconds(10);  ///< then twice as long each time, to refresh
};

/// Keeps a routing table of peers that answer: checks those it hears of before they are admitted
/// (FIND_NODE for our own ID, as go-libp2p does), removes those that fail, and tries them again
/// later, so that a partition that heals is noticed without a bootstrap. Peers that name none but
/// dead ones are kept out for a while.
class TableKeeper {
 public:
  TableKeeper(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc, RoutingTable& table,
              KeeperOptions options, LookupOptions lookups);

  /// Checks `peer`, of whom `namer` told, or who came itself, soon, if the table has room for it.
  void consider(const PeerInfo& peer, const PeerId& namer = {});
  /// `peer` answered a request well: no further check is needed.
  void answered(const PeerInfo& peer);
  void failed(const PeerInfo& peer);

  /// What a Lookup is given, so that each search feeds the table.
  Lookup::Observer observer();

  /// Asks `seeds`, then searches the surroundings and each bucket. Whether the table has a peer.
  awaitable<bool> join(std::vector<PeerInfo> seeds);

  /// Refreshes until cancelled.
  awaitable<void> run();

  /// Ends the checks; to be awaited before the keeper goes.
  awaitable<void> stop();

 private:
  using Namers = std::vector<PeerId>;

  struct Lapsed {
    PeerInfo peer;
    TimePoint next;
    Duration wait;
  };

  bool is_worth_a_check(const PeerInfo& peer, const Namers& namers) const;
  std::size_t pending_of(const PeerId& namer) const;
  void start_checks();
  awaitable<void> check_queue();
  awaitable<void> check(PeerInfo peer);
  void judge(const PeerId& namer, bool alive);
  void ban(const PeerId& liar);
  awaitable<void> refresh();
  awaitable<void> search(Key target, Bytes wire_key);
  void retry_lapsed();

  asio::any_io_executor executor_;
  Clock& clock_;
  Rng& rng_;
  Rpc& rpc_;
  RoutingTable& table_;
  KeeperOptions options_;
  LookupOptions lookups_;
  std::deque<PeerInfo> queue_;
  Vouching vouching_;
  std::unordered_map<PeerId, Namers> pending_;  ///< queued or being checked
  std::deque<Lapsed> lapsed_;
  bool stopped_ = false;
  TaskGroup checks_;
};

}  // namespace hagring::kad
