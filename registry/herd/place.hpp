// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "registry/herd/herd_id.hpp"

namespace hagring::herd {

/// A place in the DHT's key space of 256 bits.
using Key = std::array<std::uint8_t, 32>;

/// What the DHT hashes to get a herd's place; a lookup of the nodes nearest to it is asked for with
/// these bytes. It isn't the key of the digest's provider records: the nodes that keep those are
/// asked for every blob anyway, this spreads the work to others.
std::string place_name(const HerdId& herd);

/// The herd's place: SHA-256 of its place_name.
Key place_of(const HerdId& herd);
/// A node's: SHA-256 of its peer ID, as libp2p's kad-dht has it.
Key place_of(const NodeId& node);

/// Whether `a` is nearer to `place` than `b` is (XOR metric). Equal nodes aren't nearer.
bool nearer(const Key& place, const NodeId& a, const NodeId& b);

/// The `count` nodes nearest to `place`, nearest first, each once. The first one coordinates, the
/// next stand in for it, in this order.
std::vector<NodeId> rank(const Key& place, std::vector<NodeId> nodes, std::size_t count);

/// What the herds' logic asks about the mesh; answered from memory, without waiting.
class Mesh {
 public:
  virtual ~Mesh() = default;

  /// The `count` nodes nearest to `place` among those known to be up and to speak
  /// `kHerdProtocol`, nearest first, this node among them if it is one of them.
  virtual std::vector<NodeId> nearest(const Key& place, std::size_t count) const = 0;

  /// Nodes that are known to have the whole blob (this one, and by its provider records), those
  /// that are to be asked first first. Whoever says so may be wrong, or lie.
  virtual std::vector<NodeId> holders(const HerdId& herd) const = 0;
};

}  // namespace hagring::herd
