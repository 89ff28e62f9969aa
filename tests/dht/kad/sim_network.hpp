// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dht/kad/rng.hpp"
#include "dht/kad/rpc.hpp"
#include "tests/support/sim_clock.hpp"

namespace hagring::kad::test {

/// A network in one process: latency, loss, dead nodes and partitions, all from one seed.
class SimNetwork {
 public:
  using Handler = std::function<Result<std::optional<Message>>(const PeerInfo&, const Message&)>;

  struct Options {
    Duration least_latency = std::chrono::microseconds(200);
    Duration most_latency = std::chrono::milliseconds(5);
    double loss = 0;    ///< share of exchanges that time out
    bool wire = false;  ///< encode and decode every message
  };

  SimNetwork(hagring::test::SimClock& clock, std::uint64_t seed, Options options)
      : clock_(clock), rng_(seed), options_(options) {}

  /// The seed from the environment (HAGRING_SIM_SEED) or the clock, printed.
  static std::uint64_t seed();

  /// Brings a node up, or puts another in its place; `group` is its side of a partition.
  void attach(const PeerId& peer, Handler handler);
  void detach(const PeerId& peer) { nodes_.erase(peer); }
  bool is_up(const PeerId& peer) const { return nodes_.contains(peer); }

  /// While `reachable` is set, only pairs for which it holds can talk.
  void partition(std::function<bool(const PeerId&, const PeerId&)> reachable) {
    reachable_ = std::move(reachable);
  }

  /// What `self` uses to talk to others.
  std::unique_ptr<Rpc> rpc(const PeerInfo& self);

  std::uint64_t requests = 0;  ///< messages sent, replies not counted
  std::uint64_t contacts = 0;  ///< calls of ask() and tell()
  std::uint64_t stored = 0;    ///< ADD_PROVIDER messages among the requests

 private:
  class Port;

  Duration latency();
  bool connected(const PeerId& from, const PeerId& to);

  hagring::test::SimClock& clock_;
  Rng rng_;
  Options options_;
  std::unordered_map<PeerId, Handler> nodes_;
  std::function<bool(const PeerId&, const PeerId&)> reachable_;
};

}  // namespace hagring::kad::test
