// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>

#include "dht/node.hpp"
#include "registry/herd/batch.hpp"
#include "registry/herd/neighbours.hpp"
#include "registry/herd/place.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {

/// Times and limits of the herds' streams.
struct HerdMeshOptions {
  Duration open = std::chrono::seconds(3);           ///< for a stream to be opened
  Duration write = std::chrono::seconds(5);          ///< for messages to be taken
  Duration idle = std::chrono::seconds(60);          ///< until a stream of ours is ended
  std::size_t max_queued = std::size_t{256} << 10;   ///< bytes to one node that wait to be sent
  std::size_t max_lines = 1024;                      ///< streams, of others and of ours
  Duration search = std::chrono::milliseconds(150);  ///< for the nodes nearest to a place
  /// So long what a search has found is good for other herds of the same place.
  Duration found = std::chrono::seconds(60);
  /// So long after a search that found nobody none is made for the same place.
  Duration not_found = std::chrono::seconds(2);
  std::size_t max_found = 1024;  ///< places
  /// A node that doesn't speak the protocol isn't asked again for this long.
  Duration mute = std::chrono::minutes(10);
};

/// The mesh as herds see it: messages go over streams of their own (herd::kHerdProtocol) on the
/// DHT's connections, and who is near to a place is what the routing table knows. Lives on the
/// control thread.
class HerdMesh final : public herd::Neighbours, public herd::Mesh {
 public:
  using Options = HerdMeshOptions;

  /// `node` and `clock` must outlive this; before the node's start(). `peer_port`: as DhtRouter's.
  HerdMesh(asio::any_io_executor control, Clock& clock, dht::Node& node,
           std::function<std::uint16_t()> peer_port, Options options = {});
  ~HerdMesh() override;

  void begin(Hooks hooks) override;
  void send(const herd::NodeId& to, const herd::Message& message) override;
  std::optional<registry::Peer> whereabouts(const herd::NodeId& node) const override;

  std::vector<herd::NodeId> nearest(const herd::Key& place, std::size_t count) const override;
  std::vector<herd::NodeId> holders(const herd::HerdId& herd) const override;
  awaitable<void> get_to_know(herd::HerdId herd) override;

  /// Searches that get_to_know() has made.
  std::size_t searches() const { return searches_; }
  std::size_t streams() const { return ours_.size() + others_.size(); }

  /// Ends all streams, before the node is stopped.
  awaitable<void> stop();

 private:
  struct Line;
  using LinePtr = std::shared_ptr<Line>;  ///< shared by the map and its coroutines
  using Lines = std::map<herd::NodeId, LinePtr>;

  awaitable<void> run_ours(LinePtr line);
  awaitable<void> run_others(dht::Host::Inbound inbound);
  awaitable<Result<void>> read(LinePtr line);
  awaitable<void> write(LinePtr line);
  awaitable<Result<void>> carry(LinePtr line);
  void queue(const LinePtr& line, Bytes frame);
  static void end(Line& line);

  const asio::any_io_executor control_;
  Clock& clock_;
  dht::Node& node_;
  const std::function<std::uint16_t()> peer_port_;
  const Options options_;
  Hooks hooks_;
  TaskGroup tasks_;
  Lines ours_;    ///< opened by us, to those that coordinate
  Lines others_;  ///< opened by nodes that we coordinate
  mutable std::map<herd::NodeId, TimePoint> mute_;
  /// Nodes near to a place that searches have found.
  struct Near {
    std::vector<herd::NodeId> nodes;
    TimePoint until;
  };
  std::map<herd::Key, Near> near_;
  std::size_t searches_ = 0;
  bool stopped_ = false;
};

/// Signs with the node's identity, and checks others' signatures. Any thread.
class HerdNotary final : public herd::Notary {
 public:
  explicit HerdNotary(const dht::Identity& identity) : identity_(identity) {}

  Bytes sign(ByteView bytes) override { return identity_.sign(bytes); }
  bool verify(const herd::NodeId& node, ByteView bytes, ByteView signature) override;

 private:
  const dht::Identity& identity_;
};

/// A peer ID as herds know it.
herd::NodeId to_herd(const dht::PeerId& peer);

}  // namespace hagring::agent
