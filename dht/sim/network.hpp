// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dht/kad/rng.hpp"
#include "dht/kad/rpc.hpp"
#include "dht/sim/clock.hpp"
#include "dht/sim/latency.hpp"

namespace hagring::sim {

/// How a simulated network behaves.
struct NetworkOptions {
  LatencyModel latency = LatencyModel::uniform;
  double loss = 0;    ///< share of exchanges that time out
  bool wire = false;  ///< encode and decode every message, and count bytes
};

/// A network in one process: latency, loss, dead nodes and partitions, all from one seed.
class SimNetwork {
 public:
  using Handler =
      std::function<Result<std::optional<kad::Message>>(const kad::PeerInfo&, const kad::Message&)>;

  /// What has gone over the simulated wire.
  struct Counters {
    std::uint64_t requests = 0;  ///< messages sent, replies not counted
    std::uint64_t replies = 0;
    std::uint64_t contacts = 0;  ///< calls of ask() and tell(): streams that one peer opened
    std::uint64_t stored = 0;    ///< ADD_PROVIDER messages among the requests
    std::uint64_t failed = 0;    ///< contacts that failed
    std::uint64_t bytes = 0;     ///< of messages, requests and replies, with NetworkOptions::wire
  };

  SimNetwork(SimClock& clock, std::uint64_t seed, NetworkOptions options)
      : clock_(clock), rng_(seed), options_(options) {}

  /// Brings a node up, or puts another in its place.
  void attach(const kad::PeerId& peer, Handler handler);
  void detach(const kad::PeerId& peer) { nodes_.erase(peer); }
  bool is_up(const kad::PeerId& peer) const { return nodes_.contains(peer); }

  /// Whatever is sent to `peer` takes so much longer.
  void delay(const kad::PeerId& peer, Duration by) { delays_[peer] = by; }

  /// Connections with `peer` end at `ip`, whatever it claims.
  void place(const kad::PeerId& peer, kad::Ip ip) { machines_[peer] = ip; }

  /// While `reachable` is set, only pairs for which it holds can talk.
  void partition(std::function<bool(const kad::PeerId&, const kad::PeerId&)> reachable) {
    reachable_ = std::move(reachable);
  }

  /// What `self` uses to talk to others.
  std::unique_ptr<kad::Rpc> rpc(const kad::PeerInfo& self);

  const Counters& counters() const { return counters_; }

 private:
  class Port;

  bool connected(const kad::PeerId& from, const kad::PeerId& to);
  Duration time_to(const kad::PeerId& from, const kad::PeerId& to);

  SimClock& clock_;
  kad::Rng rng_;
  NetworkOptions options_;
  std::unordered_map<kad::PeerId, Handler> nodes_;
  std::unordered_map<kad::PeerId, Duration> delays_;
  std::unordered_map<kad::PeerId, kad::Ip> machines_;
  std::function<bool(const kad::PeerId&, const kad::PeerId&)> reachable_;
  Counters counters_;
};

}  // namespace hagring::sim
