// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <map>
#include <vector>

#include "dht/sim/network.hpp"
#include "dht/sim/peers.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::kad::test {

/// Peers 1 to `count` that all know each other, and note what they are told.
class Mesh {
 public:
  struct Told {
    TimePoint when;
    std::uint32_t peer;
    Bytes key;
    PeerInfo provider;
  };

  explicit Mesh(std::uint32_t count) {
    for (std::uint32_t number = 1; number <= count; ++number) {
      peers.push_back(sim::numbered_peer(number));
      up(number);
    }
  }

  void up(std::uint32_t number) {
    network.attach(sim::numbered_peer(number).id,
                   [this, number](const PeerInfo&, const Message& request) {
                     return answer(number, request);
                   });
  }

  void down(std::uint32_t number) { network.detach(sim::numbered_peer(number).id); }

  /// The `count` peers nearest to `target`.
  std::vector<PeerInfo> nearest(const Key& target, std::size_t count) const {
    std::vector<std::pair<Key, const PeerInfo*>> order;
    for (const PeerInfo& peer : peers)
      order.emplace_back(distance(target, Key::of(peer.id)), &peer);
    const std::size_t size = std::min(count, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size),
                      order.end());
    std::vector<PeerInfo> found;
    for (std::size_t i = 0; i < size; ++i) found.push_back(*order[i].second);
    return found;
  }

  /// Who was told `key`, each once.
  std::vector<PeerId> told_of(const Bytes& key) const {
    std::vector<PeerId> ids;
    for (const Told& told : all_told) {
      if (told.key == key) ids.push_back(sim::numbered_peer(told.peer).id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }

  asio::io_context context;
  sim::SimClock clock{context};
  sim::SimNetwork network{clock, 7, {.wire = true}};
  std::vector<PeerInfo> peers;
  std::vector<Told> all_told;
  std::vector<PeerInfo> providers;  ///< that every reply names
  std::size_t asked_for_providers = 0;

 private:
  Result<std::optional<Message>> answer(std::uint32_t number, const Message& request) {
    if (request.type == MessageType::add_provider) {
      all_told.push_back({clock.now(), number, request.key, request.provider_peers.at(0)});
      return std::optional<Message>();
    }
    Message reply;
    reply.type = request.type;
    reply.closer_peers = nearest(Key::of(request.key), 20);
    if (request.type == MessageType::get_providers) {
      ++asked_for_providers;
      reply.provider_peers = providers;
    }
    return std::optional(reply);
  }
};

/// The IDs of `peers`, in order.
inline std::vector<PeerId> ids_of(const std::vector<PeerInfo>& peers) {
  std::vector<PeerId> ids;
  for (const PeerInfo& peer : peers) ids.push_back(peer.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace hagring::kad::test
