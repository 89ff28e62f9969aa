// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dht/kad/kad_node.hpp"
#include "dht/sim/network.hpp"

namespace hagring::sim {

/// What a search gave, and when.
struct Found {
  kad::LookupResult result;
  Duration first{};  ///< until the first provider
  Duration total{};  ///< until its end
};

/// One node of a simulated network: the production code, and an owner that does what the agent does
/// with it.
class SimNode {
 public:
  /// What goes on past a restart.
  struct Identity {
    kad::PeerInfo info;
    std::uint32_t number = 0;
    std::vector<std::string> keys = {};
  };

  SimNode(asio::any_io_executor executor, SimClock& clock, SimNetwork& network, Identity identity,
          std::uint64_t seed, const kad::KadOptions& options);

  /// Comes up, with what `snapshot` has from before a restart, if anything.
  void start(const kad::PeerInfo& bootstrap, const Bytes& snapshot);
  /// Makes known that it has `keys`, for the rest of its life.
  void provide(const std::vector<std::string>& keys);
  /// Is gone at once.
  void end();
  /// Whether nothing of it is left running after end().
  bool ended() const { return !up_ && tasks_.size() == 0; }

  bool is_up() const { return up_; }
  /// It has joined, as far as an agent that tells readiness knows.
  bool is_ready() const { return up_ && ready_; }

  /// Searches providers of `key`: the first, or all. `done` isn't called if the node ends first.
  void find(std::string key, bool all, std::function<void(const Found&)> done);

  const Identity& identity() const { return identity_; }
  const kad::KadNode& kad() const { return kad_; }

 private:
  awaitable<void> live(kad::PeerInfo bootstrap);

  SimClock& clock_;
  SimNetwork& network_;
  Identity identity_;
  std::unique_ptr<kad::Rpc> rpc_;
  kad::Rng rng_;
  kad::KadNode kad_;
  bool up_ = false;
  bool ready_ = false;
  TaskGroup tasks_;
};

}  // namespace hagring::sim
