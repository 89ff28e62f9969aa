// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dht/node.hpp"
#include "registry/content_router.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {

/// The ContentRouter of the mesh: asks the DHT, which lives on the control thread, for callers on
/// any thread.
class DhtRouter final : public registry::ContentRouter {
 public:
  /// `peer_port`: where the nodes' peer servers listen. A provider record has no port for it, so
  /// all nodes of a mesh have the same one (as Spegel's have: pkg/routing/libp2p/libp2p.go).
  /// `looked_up` is told on the control thread of each search that has ended: how long its first
  /// provider took, nullopt if there was none.
  DhtRouter(asio::any_io_executor control, dht::Node& node,
            std::function<std::uint16_t()> peer_port,
            std::function<void(std::optional<Duration>)> looked_up = {});

  std::unique_ptr<registry::PeerSearch> find(std::string key) override;
  awaitable<Result<void>> announce(std::vector<std::string> keys) override;
  awaitable<Result<void>> withdraw(std::vector<std::string> keys) override;

  /// Ends searches under way, which then name no more peers; on the control thread, before the node
  /// is stopped. Later searches find nobody.
  awaitable<void> stop();

 private:
  struct Found;
  class Search;
  awaitable<void> search(std::string key, std::shared_ptr<Found> found);
  awaitable<void> look_up(std::string key, std::shared_ptr<Found> found);
  void give_up(const std::shared_ptr<Found>& found);
  registry::Peer peer_at(const dht::Provider& provider, const asio::ip::address& place) const;

  asio::any_io_executor control_;
  dht::Node& node_;
  const std::function<std::uint16_t()> peer_port_;
  const std::function<void(std::optional<Duration>)> looked_up_;
  // On the control thread:
  bool stopped_ = false;
  TaskGroup searches_;
  /// What each search is waiting for, to end those that nobody wants any more.
  std::map<const Found*, TaskGroup*> lookups_;
};

}  // namespace hagring::agent
