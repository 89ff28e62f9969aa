// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "registry/content_router.hpp"
#include "registry/herd/message.hpp"
#include "userspace/base/asio.hpp"

namespace hagring::herd {

/// The mesh's other nodes, as herds need them: how messages get to them, and where their peer
/// servers are. Used on the control thread.
class Neighbours {
 public:
  /// What has come. Called on the control thread, never from within send().
  struct Hooks {
    std::function<void(const NodeId& from, Message message)> received{};
    /// The stream on which `node` had joined herds here has ended.
    std::function<void(const NodeId& node)> member_lost{};
    /// The one on which this node had joined herds at `node` has ended, or couldn't be opened.
    std::function<void(const NodeId& node)> coordinator_lost{};
  };
  virtual ~Neighbours() = default;

  /// Before the first send().
  virtual void begin(Hooks hooks) = 0;
  /// Sends a message to another node, some time. One that can't be sent is lost; who waits for an
  /// answer has a time-out.
  virtual void send(const NodeId& to, const Message& message) = 0;
  /// Where the mesh is larger than what this node knows of it: looks for the nodes nearest to the
  /// herd's place, before they are asked for by Mesh::nearest. Takes MemberOptions::join_wait at
  /// the most: what is known by then must do.
  virtual awaitable<void> get_to_know(HerdId herd) = 0;
  /// Where a node's peer server is; nullopt if that isn't known.
  virtual std::optional<registry::Peer> whereabouts(const NodeId& node) const = 0;
};

}  // namespace hagring::herd
