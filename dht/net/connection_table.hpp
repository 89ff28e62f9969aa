// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/net/connection.hpp"
#include "dht/net/host.hpp"

namespace hagring::dht {

/// The connections of a host, by peer.
class ConnectionTable {
 public:
  /// Shared by the table, the task that runs the connection, and those who wait for a stream on it.
  using Entry = std::shared_ptr<Connection>;

  /// What is known of a peer with connections.
  struct Peer {
    std::vector<Entry> connections;  ///< oldest first
    std::optional<PeerAbout> about;
    std::size_t pings = 0;  ///< ping streams that are served
    double pushes = 10;     ///< identify pushes that it may still send at once
    TimePoint pushed;       ///< when that was
  };

  void add(Entry connection);
  void remove(const Entry& connection);
  /// nullptr when there is no connection with it.
  Peer* find(const PeerId& peer);
  const Peer* find(const PeerId& peer) const;
  /// The connection for outgoing streams: the oldest healthy one that isn't in doubt, on which both
  /// sides' choices agree once a simultaneous dial is over; else one in doubt.
  Entry preferred(const PeerId& peer) const;

  /// The connection without streams that has been unused longest, if that is `rest` at least; with
  /// `peer`, of that one; with `inbound_only`, one that takes an inbound place.
  Entry idlest(TimePoint now, Duration rest, const PeerId* peer, bool inbound_only) const;

  std::vector<Entry> all() const;
  /// Those that aren't closing.
  std::size_t size() const;
  std::size_t outbound() const;
  std::size_t streams() const;
  /// Of one peer, over all its connections.
  std::size_t streams(const PeerId& peer) const;
  std::size_t size(const PeerId& peer) const;

 private:
  std::map<PeerId, Peer> peers_;
};

}  // namespace hagring::dht
