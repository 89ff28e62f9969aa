// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "dht/sim/node.hpp"
#include "dht/sim/statistics.hpp"

namespace hagring::sim {

/// What a simulated network is made of.
struct SimulationOptions {
  std::uint32_t nodes = 100;
  std::uint32_t keys_per_node = 20;
  std::uint64_t seed = 1;
  double starts_per_second = 50;  ///< how fast the nodes come up, in the beginning
  NetworkOptions network;
  kad::KadOptions kad;
};

/// What many searches cost.
struct SearchStatistics {
  std::size_t searches = 0;
  std::size_t found = 0;  ///< those that found a provider
  Samples rounds;         ///< to the first provider, of those that found one
  Samples messages;       ///< requests, of all
  Samples first;          ///< milliseconds to the first provider
  Samples total;          ///< milliseconds to the end

  void add(const Found& result);
  double share_found() const {
    return searches == 0 ? 0 : static_cast<double>(found) / static_cast<double>(searches);
  }
};

/// A key, and the number of the node that has it.
struct HeldKey {
  std::string name;
  std::uint32_t holder = 0;
};

/// A network of nodes in virtual time. All that happens follows from its seed.
class Simulation {
 public:
  explicit Simulation(SimulationOptions options);
  ~Simulation();

  /// Brings all nodes up, one after the other, and waits until each has joined. Each knows the
  /// first node's address only. False when some didn't within `limit` after the last start.
  bool grow(Duration limit = std::chrono::minutes(2));

  /// Gives each node its keys and waits until all are told to others; false after `limit`.
  bool provide(Duration limit = std::chrono::minutes(5));

  void run_for(Duration duration) { clock_.run_for(duration); }
  /// Runs until `done`, looked at every second; false when `limit` comes first.
  bool run_until(const std::function<bool()>& done, Duration limit);

  /// `count` searches of keys, each by a node that doesn't have it, of keys whose holder is up:
  /// until the first provider, or until all are found.
  SearchStatistics search(std::size_t count, bool all = false);
  /// A search for each of `keys`; those that found nothing are left in it.
  SearchStatistics search(std::vector<HeldKey>& keys);

  /// Starts one search by a random node that is up and isn't the key's holder; if there is none,
  /// `done` is never called.
  void search(const HeldKey& key, bool all, std::function<void(const Found&)> done);
  /// A random key whose holder is up.
  HeldKey random_key();
  /// All keys whose holders are up, in random order, at most `most`.
  std::vector<HeldKey> keys(std::size_t most);

  /// Ends each node but the first with this chance, all at once; two are left.
  void kill(double share);
  /// One node, not the first, is gone without a word; another comes with keys of its own.
  void replace_one();
  /// A node ends in order and is back after `pause`, with what it knew before.
  void restart(std::uint32_t number, Duration pause);
  /// Splits the network in two by chance, `share` on the other side, or joins it again.
  void split(double share);
  void heal() { network_.partition({}); }

  SimNode* node(std::uint32_t number) { return nodes_[number].get(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
  std::vector<const SimNode*> up() const;

  /// How many of the k nodes truly nearest to `key` hold a record of it, summed over `keys`, as a
  /// share.
  double placed_right(const std::vector<HeldKey>& keys) const;

  /// For what a test adds to the network; it must have ended before the simulation does.
  asio::any_io_executor executor() { return context_.get_executor(); }
  SimClock& clock() { return clock_; }
  SimNetwork& network() { return network_; }
  kad::Rng& rng() { return rng_; }

 private:
  void add(std::uint32_t number, std::vector<std::string> keys, const Bytes& snapshot);
  std::vector<std::string> keys_of(std::uint32_t number) const;
  SimNode& random_up();
  void bury();

  SimulationOptions options_;
  asio::io_context context_;
  SimClock clock_{context_};
  kad::Rng rng_;
  SimNetwork network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;  ///< by number; empty while one is down
  std::vector<std::unique_ptr<SimNode>> ending_;
  TaskGroup tasks_;
};

}  // namespace hagring::sim
