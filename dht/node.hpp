// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/bootstrap.hpp"
#include "dht/joiner.hpp"
#include "dht/kad/kad_node.hpp"
#include "dht/kad_streams.hpp"
#include "dht/net/host.hpp"

namespace hagring::dht {

/// How a node of the mesh behaves.
struct NodeOptions {
  HostOptions host{};
  BootstrapOptions bootstrap{};
  JoinerOptions joining{};
  KadStreamOptions streams{};
  kad::KadOptions kad{};
  /// Where provider records are kept over a restart; empty: nowhere.
  std::filesystem::path records_file{};
  Duration save = std::chrono::minutes(1);  ///< between two writings of the records
};

/// Someone who provides a key, and where.
struct Provider {
  PeerId peer;
  std::vector<asio::ip::address> addresses;  ///< that may be dialled, at least one
};

/// What a node knows, for the status page.
struct NodeStatus {
  struct TablePeer {
    std::string peer_id;
    std::vector<std::string> addresses{};
    Duration silent{0};  ///< since its last answer
    bool connected = false;
  };
  std::string peer_id;
  bool closed = false;  ///< the mesh has a key
  std::vector<std::string> addresses{};
  std::vector<TablePeer> table{};
  std::size_t records = 0;        ///< kept for others
  std::size_t record_keys = 0;    ///< their keys
  std::size_t provided_keys = 0;  ///< our own
  std::size_t untold_keys = 0;    ///< of them, those that no other node has been told of yet
  Host::Counters host;
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
  /// Must have been stopped, if it was started.
  ~Node();

  /// Binds: who connects then waits for start(). Throws StartError when the address can't be had.
  void bind();
  /// Reads the records of the last run, listens, and begins to join the mesh; binds before if need
  /// be, and throws then as bind() does.
  void start();
  /// Ends everything, and keeps the records if it was started.
  awaitable<void> stop();

  /// Makes it known, and keeps it known, that this node has `keys`: digests and image names.
  void provide(const std::vector<std::string>& keys);
  void withdraw(const std::vector<std::string>& keys);
  bool provides(std::string_view key) const;

  /// Looks for those that provide `key`, ourselves left out; records held here come first.
  awaitable<kad::LookupResult> find_providers(std::string key, OnProvider on_provider);

  /// Serves another protocol beside the DHT's, as Host::serve; before start().
  void serve(std::string protocol, Host::StreamHandler handler);
  /// Opens a stream to a node of the table, or one that is connected. Errors: Host::open's.
  awaitable<Result<std::unique_ptr<ByteStream>>> open(PeerId peer, std::string protocol);
  /// The `count` nodes of the table nearest to a place in the key space, ourselves left out.
  std::vector<PeerId> nearest(const kad::Key& place, std::size_t count) const;
  /// Whether the table has everybody that it has met, as it has in a small mesh: nobody is nearer
  /// to a place than nearest() says.
  bool knows_everybody() const;
  /// Searches the network for the nodes nearest to SHA-256 of `name`, nearest first; those that
  /// have answered, and so are connected. Cancelled, it gives those found until then.
  awaitable<Result<std::vector<PeerId>>> find_nearest(std::string name);
  /// Those that have told this node that they provide `key`, the latest first; nobody is asked.
  std::vector<PeerId> known_providers(std::string_view key) const;
  /// Whether a connected peer has said that it serves a protocol; nullopt: it hasn't said anything.
  std::optional<bool> serves(const PeerId& peer, std::string_view protocol) const;
  /// Where a node of the table, or one that is connected, may be dialled; those that are known to
  /// lead there come first.
  std::vector<asio::ip::address> places_of(const PeerId& peer) const;

  const PeerId& peer_id() const;
  asio::ip::tcp::endpoint endpoint() const;
  NodeStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::dht
