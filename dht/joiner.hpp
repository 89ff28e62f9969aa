// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "dht/bootstrap.hpp"
#include "dht/kad/kad_node.hpp"
#include "dht/net/host.hpp"

namespace hagring::dht {

/// When the bootstrap's sources are asked.
struct JoinerOptions {
  /// While nobody is known: after this, then after twice as long each time, up to the longest …
  Duration first_retry = std::chrono::milliseconds(500);
  Duration longest_retry = std::chrono::seconds(10);
  /// … and now and then all the same: two islands that don't know of each other find together.
  Duration repeat = std::chrono::minutes(5);
  /// Addresses tried in a round, chosen by chance: lookups find the other nodes.
  std::size_t greeted = 8;
};

/// Brings a node into the mesh, and back when it has been cut off. Lives on the host's thread.
class Joiner {
 public:
  using Options = JoinerOptions;

  /// All references must outlive this.
  Joiner(asio::any_io_executor executor, Clock& clock, kad::Rng& rng, Host& host,
         kad::KadNode& node, Bootstrap& bootstrap, Options options);

  /// Joins, and stays joined, until cancelled; call stop() then.
  awaitable<void> run();
  /// Ends what run() is waiting for, which cancelling it doesn't. It can't be run again.
  void stop();

 private:
  awaitable<void> round();
  awaitable<std::vector<BootstrapPeer>> candidates();
  awaitable<void> greet(BootstrapPeer candidate, std::vector<kad::PeerInfo>& seeds);
  void tell_failure(std::size_t tried);

  Clock& clock_;
  kad::Rng& rng_;
  Host& host_;
  kad::KadNode& node_;
  Bootstrap& bootstrap_;
  const Options options_;
  std::string last_error_;  ///< of this round's greetings
  /// What the log has of why nobody is known: each is said once, for it is tried again and again.
  enum class Told { nothing, names_nobody, nobody_answers };
  Told told_ = Told::nothing;
  bool stopped_ = false;
  TaskGroup greetings_;
};

/// What is known of a connected peer, for Kademlia: no addresses unless it says that it serves it.
kad::PeerInfo kad_info(const Host& host, const PeerId& peer);

}  // namespace hagring::dht
