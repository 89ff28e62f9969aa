// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "dht/node.hpp"

namespace hagring::dht {

/// What the interop tests tell our node to do (tests/interop/README.md). Runs on the node's thread.
class NodeCommands {
 public:
  /// `options` are those of `node`, for the hosts that try an address without joining the mesh. All
  /// references must outlive this.
  NodeCommands(asio::any_io_executor executor, Clock& clock, Dialer& dialer, Node& node,
               NodeOptions options);

  /// Does what a line of JSON asks, and returns the line that answers it; never throws.
  awaitable<std::string> answer(std::string line);

 private:
  using Json = nlohmann::json;

  awaitable<Json> run(Json request);
  Json about() const;
  Json table() const;
  Json connections() const;
  awaitable<Json> connect(Multiaddr address);
  awaitable<Json> find_providers(Json request);
  awaitable<Result<kad::LookupResult>> search(std::string key, Node::OnProvider on_provider);

  asio::any_io_executor executor_;
  Clock& clock_;
  Dialer& dialer_;
  Node& node_;
  NodeOptions options_;
};

}  // namespace hagring::dht
