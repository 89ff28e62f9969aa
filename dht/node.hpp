// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/bootstrap.hpp"
#include "dht/kad/lookup.hpp"
#include "dht/net/host.hpp"
#include "userspace/base/resolver.hpp"

namespace hagring::dht {

/// How a node of the mesh behaves.
struct NodeOptions {
  HostOptions host;
  BootstrapOptions bootstrap;
  /// Where provider records are kept over a restart; empty: nowhere.
  std::filesystem::path records_file;
};

/// Someone who provides a key, and where.
struct Provider {
  PeerId peer;
  std::vector<asio::ip::address> addresses;  ///< that may be dialled, at least one
};

/// What `hagring status` shows of the DHT.
struct NodeStatus {
  std::string peer_id;
  std::vector<std::string> addresses;
  std::size_t table_peers = 0;
  std::size_t records = 0;  ///< kept for others
  std::size_t record_keys = 0;
  std::size_t provided_keys = 0;  ///< our own
  std::size_t untold_keys = 0;    ///< of them, not yet told to anybody
  Host::Counters host;
  struct TablePeer {
    std::string peer_id;
    std::vector<std::string> addresses;
    Duration silent{0};  ///< since its last answer
    bool connected = false;
  };
  std::vector<TablePeer> table;
};

/// A node of the mesh: libp2p's Kademlia over TCP, on the wire that Spegel's nodes speak. Lives on
/// one thread, that of its executor.
class Node {
 public:
  /// Told of each provider as it is found; returns whether more are wanted.
  using OnProvider = std::function<bool(const Provider&)>;

  /// All references must outlive the node.
  Node(asio::any_io_executor executor, Clock& clock, const Identity& identity, Dialer& dialer,
       Resolver& resolver, NodeOptions options);
  ~Node();

  /// Listens and joins the mesh. Throws StartError when the address can't be had.
  void start();
  /// Ends everything, and keeps the records.
  awaitable<void> stop();

  /// Makes it known, and keeps it known, that this node has `keys`: digests and image names.
  void provide(std::vector<std::string> keys);
  void withdraw(const std::vector<std::string>& keys);

  /// Looks for those that provide `key`, ourselves left out; records held here come first.
  awaitable<kad::LookupResult> find_providers(std::string key, OnProvider on_provider);

  const PeerId& peer_id() const;
  asio::ip::tcp::endpoint endpoint() const;
  NodeStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::dht
