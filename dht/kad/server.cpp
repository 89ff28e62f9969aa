// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/server.hpp"

#include <algorithm>

namespace hagring::kad {

Server::Server(Rng& rng, const RoutingTable& table, ProviderStore& store, const OwnKeys& own_keys,
               ServerOptions options)
    : rng_(rng), table_(table), store_(store), own_keys_(own_keys), options_(std::move(options)) {}

Result<std::optional<Message>> Server::handle(const PeerId& sender, const Message& request,
                                              Ip remote) {
  switch (request.type) {
    case MessageType::ping: {
      Message echo;
      echo.key = request.key;
      return echo;
    }
    case MessageType::find_node:
      if (request.key.empty()) return Errc::bad_message;
      return find_node(sender, request);
    case MessageType::get_providers:
      if (request.key.empty() || request.key.size() > kMaxProviderKeySize) return Errc::bad_message;
      return get_providers(sender, request);
    case MessageType::add_provider: {
      if (request.key.empty() || request.key.size() > kMaxProviderKeySize) return Errc::bad_message;
      if (auto added = add_provider(sender, request, remote); !added) return added.error();
      return std::nullopt;
    }
    case MessageType::put_value:
    case MessageType::get_value:
      break;
  }
  return Errc::unsupported;
}

Message Server::find_node(const PeerId& sender, const Message& request) const {
  Message reply;
  reply.type = MessageType::find_node;
  reply.closer_peers = table_.nearest(Key::of(request.key), options_.closer_peers, &sender);
  return reply;
}

Message Server::get_providers(const PeerId& sender, const Message& request) {
  const Key key = Key::of(request.key);
  Message reply;
  reply.type = MessageType::get_providers;
  reply.key = request.key;
  for (PeerInfo& provider : store_.find(key)) {
    if (provider.id != sender && !provider.addresses.empty()) {
      reply.provider_peers.push_back(std::move(provider));
    }
  }
  auto& providers = reply.provider_peers;
  for (std::size_t i = 0; i < options_.providers && providers.size() > options_.providers; ++i) {
    std::swap(providers[i], providers[i + rng_.below(providers.size() - i)]);
  }
  if (providers.size() > options_.providers) providers.resize(options_.providers);
  if (own_keys_.contains(key)) {
    PeerInfo self{table_.self(), options_.own_addresses()};
    if (!self.addresses.empty()) providers.insert(providers.begin(), std::move(self));
  }
  reply.closer_peers = table_.nearest(key, options_.closer_peers, &sender);
  return reply;
}

Result<void> Server::add_provider(const PeerId& sender, const Message& request, Ip remote) {
  const Key key = Key::of(request.key);
  bool valid = false;
  for (const PeerInfo& provider : request.provider_peers) {
    // Threat: a peer that names others as providers would send the whole fleet to them.
    if (provider.id != sender) continue;
    PeerInfo allowed{sender, {}};
    std::ranges::copy_if(provider.addresses, std::back_inserter(allowed.addresses),
                         options_.allowed);
    if (allowed.addresses.empty()) continue;
    valid = true;
    if (!store_.add(key, allowed, remote)) return Errc::unavailable;
  }
  if (!valid) return Errc::bad_message;
  return {};
}

}  // namespace hagring::kad
