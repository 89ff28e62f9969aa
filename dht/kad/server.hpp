// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "dht/kad/message.hpp"
#include "dht/kad/own_keys.hpp"
#include "dht/kad/provider_store.hpp"
#include "dht/kad/rng.hpp"
#include "dht/kad/routing_table.hpp"

namespace hagring::kad {

/// What the server tells and takes.
struct ServerOptions {
  std::size_t closer_peers = 20;  ///< k
  /// Providers in a reply, a random choice of more, so that askers spread over them.
  std::size_t providers = 64;
  /// Whether a peer may claim an address; others would dial it.
  std::function<bool(const Multiaddr&)> allowed = [](const Multiaddr&) { return true; };
  /// Where we can be reached now, to name ourselves as provider of our own keys.
  std::function<std::vector<Multiaddr>()> own_addresses = [] { return std::vector<Multiaddr>(); };
};

/// Answers other nodes' requests as go-libp2p-kad-dht's handlers do.
class Server {
 public:
  Server(Rng& rng, const RoutingTable& table, ProviderStore& store, const OwnKeys& own_keys,
         ServerOptions options);

  /// The reply to `request` from the authenticated peer `sender`, whose connection ends at
  /// `remote`; nullopt when it has none.
  /// Errors (the stream is to be reset): Errc::bad_message, Errc::unsupported for records of
  /// values, which Spegel doesn't use, Errc::unavailable when the store's limits forbid a record.
  Result<std::optional<Message>> handle(const PeerId& sender, const Message& request,
                                        Ip remote = {});

 private:
  Message find_node(const PeerId& sender, const Message& request) const;
  Message get_providers(const PeerId& sender, const Message& request);
  Result<void> add_provider(const PeerId& sender, const Message& request, Ip remote);

  Rng& rng_;
  const RoutingTable& table_;
  ProviderStore& store_;
  const OwnKeys& own_keys_;
  ServerOptions options_;
};

}  // namespace hagring::kad
