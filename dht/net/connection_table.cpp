// SPDX-License-Identifier: Apache-2.0
#include "dht/net/connection_table.hpp"

#include <algorithm>

namespace hagring::dht {
namespace {

std::size_t healthy(const std::vector<ConnectionTable::Entry>& connections) {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections, [](const auto& entry) { return entry->healthy(); }));
}

}  // namespace

void ConnectionTable::add(Entry connection) {
  peers_[connection->peer()].connections.push_back(std::move(connection));
}

void ConnectionTable::remove(const Entry& connection) {
  const auto found = peers_.find(connection->peer());
  if (found == peers_.end()) return;
  std::erase(found->second.connections, connection);
  if (found->second.connections.empty()) peers_.erase(found);
}

ConnectionTable::Peer* ConnectionTable::find(const PeerId& peer) {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

const ConnectionTable::Peer* ConnectionTable::find(const PeerId& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

ConnectionTable::Entry ConnectionTable::preferred(const PeerId& peer) const {
  const auto* known = find(peer);
  if (!known) return nullptr;
  Entry doubtful;
  for (const auto& entry : known->connections) {
    if (!entry->healthy()) continue;
    if (!entry->in_doubt()) return entry;
    if (!doubtful) doubtful = entry;
  }
  return doubtful;
}

ConnectionTable::Entry ConnectionTable::idlest(TimePoint now, Duration rest, const PeerId* peer,
                                               bool inbound_only) const {
  Entry idlest;
  for (const auto& [id, known] : peers_) {
    if (peer && id != *peer) continue;
    for (const auto& entry : known.connections) {
      if (!entry->healthy() || entry->streams() > 0 || now - entry->last_used() < rest) continue;
      if (inbound_only && entry->direction() != Connection::Direction::inbound) continue;
      if (!idlest || entry->last_used() < idlest->last_used()) idlest = entry;
    }
  }
  return idlest;
}

std::vector<ConnectionTable::Entry> ConnectionTable::all() const {
  std::vector<Entry> all;
  for (const auto& [id, peer] : peers_) {
    all.insert(all.end(), peer.connections.begin(), peer.connections.end());
  }
  return all;
}

std::size_t ConnectionTable::size() const {
  std::size_t size = 0;
  for (const auto& [id, peer] : peers_) size += healthy(peer.connections);
  return size;
}

std::size_t ConnectionTable::outbound() const {
  return static_cast<std::size_t>(std::ranges::count_if(all(), [](const auto& entry) {
    return entry->healthy() && entry->direction() == Connection::Direction::outbound;
  }));
}

std::size_t ConnectionTable::streams() const {
  std::size_t streams = 0;
  for (const auto& entry : all()) streams += entry->streams();
  return streams;
}

std::size_t ConnectionTable::streams(const PeerId& peer) const {
  std::size_t streams = 0;
  if (const auto* known = find(peer)) {
    for (const auto& entry : known->connections) streams += entry->streams();
  }
  return streams;
}

std::size_t ConnectionTable::size(const PeerId& peer) const {
  const auto* known = find(peer);
  return known ? healthy(known->connections) : 0;
}

}  // namespace hagring::dht
