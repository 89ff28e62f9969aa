// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dht/kad/guarded_rpc.hpp"
#include "dht/kad/provider.hpp"
#include "dht/kad/provider_store.hpp"
#include "dht/kad/server.hpp"
#include "dht/kad/table_keeper.hpp"

namespace hagring::kad {

/// What one Kademlia node is made of.
struct KadOptions {
  /// Where others reach us now; nothing is provided while it is empty.
  std::function<std::vector<Multiaddr>()> own_addresses = [] { return std::vector<Multiaddr>(); };
  /// Whether a peer's address may be dialled, and told to others.
  std::function<bool(const Multiaddr&)> allowed = [](const Multiaddr&) { return true; };
  LookupOptions lookups;
  TableOptions table;
  KeeperOptions keeper;
  ProviderStoreOptions records;
  ProviderOptions providing;
};

/// All of Kademlia, over a network and a clock that it is given: the agent's DHT and each node of
/// a simulation are this. Lives on one thread, that of its executor.
class KadNode {
 public:
  using OnProvider = Lookup::OnProvider;

  /// What it is given by reference must outlive it.
  KadNode(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc, const PeerId& self,
          KadOptions options);

  /// Answers `request` of the authenticated `sender`, as Server::handle does. `sender` has those
  /// addresses at which it is known to listen, none if it serves no Kademlia: with one it becomes
  /// a candidate for the table.
  Result<std::optional<Message>> handle(PeerInfo sender, const Message& request);

  /// Takes `peer`, which says that it serves Kademlia, for a candidate of the table.
  void consider(PeerInfo peer);

  /// Asks `seeds`, and the peers that a snapshot named, and fills the table. Whether it has any.
  awaitable<bool> join(std::vector<PeerInfo> seeds);

  /// Keeps table, records and provided keys until cancelled; no more than once at a time.
  awaitable<void> run();

  /// Ends what is still under way, after run() and all searches have been cancelled; to be awaited
  /// before the node goes.
  awaitable<void> stop();

  /// Makes it known that this node has `keys`, digests and image names, until withdraw().
  void provide(const std::vector<std::string>& keys);
  void withdraw(const std::vector<std::string>& keys);

  /// Looks for those that provide `key`, ourselves left out: first in the records held here (0
  /// rounds), then in the network. `on_provider` is told of each as it is found, in the order of
  /// ProviderChoice, and says whether more are wanted: when not, or when it is cancelled, nobody
  /// is asked any more and it ends soon.
  awaitable<LookupResult> find_providers(std::string key, OnProvider on_provider);

  /// Searches the peers nearest to Key::of(wire_key), in the network; of those that answered the
  /// nearest are enough. Cancelled, it ends soon with those that it has found.
  awaitable<LookupResult> find_nearest(Bytes wire_key);

  /// Those whose records of `key` are held here, the latest first.
  std::vector<PeerInfo> held_providers(std::string_view key) const;

  /// Nobody is known, or none of those that were asked lately has answered: time to bootstrap.
  bool is_cut_off() const;

  /// Records held for others, when own keys were told, and the table's peers, for a file that the
  /// next start reads.
  Bytes snapshot() const;
  /// Takes in a snapshot; before provide() and join(). Errors: Errc::bad_message; what could be
  /// read until there is kept.
  Result<void> restore(ByteView snapshot);

  const RoutingTable& table() const { return table_; }
  const ProviderStore& records() const { return records_; }
  bool provides(std::string_view key) const;
  std::size_t provided_keys() const { return provider_.keys().size(); }
  std::size_t untold_keys() const { return provider_.untold(); }

 private:
  awaitable<void> collect_records();

  asio::any_io_executor executor_;
  Clock& clock_;
  LookupOptions lookups_;
  GuardedRpc rpc_;
  RoutingTable table_;
  ProviderStore records_;
  TableKeeper keeper_;
  Provider provider_;
  Server server_;
  PeerId last_sender_;
  std::vector<PeerInfo> remembered_;  ///< the table's peers before a restart
};

}  // namespace hagring::kad
