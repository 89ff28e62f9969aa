// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/upstream.hpp"
#include "tests/registry/peer_fixture.hpp"
#include "userspace/agent/mesh_gate.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::agent {

/// A peer server behind the mesh's gate, and a member that asks it, over loopback.
struct GatedPeer : registry::PeerFixture {
  GatedPeer() : content(9'000'000, '\0') {
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 8);
    path = "/v2/library/nginx/blobs/" + store.add(content).to_string() + "?ns=docker.io";
    make_gate = [this] { return std::make_unique<MeshGate>(server_identity, key, clock); };
  }

  /// The server as the router would name it.
  registry::Upstream server_as(std::string identity) {
    return {.host = {},
            .port = server->endpoint().port(),
            .tls = false,
            .preferred = server->endpoint(),
            .identity = std::move(identity)};
  }
  registry::Upstream named() { return server_as(server_identity.peer_id().to_string()); }

  /// One request of a blob and its answer.
  awaitable<Result<Answer>> fetch(registry::UpstreamClient& client, registry::Upstream from,
                                  http::Headers headers = {}) {
    CO_TRY(auto exchange,
           co_await client.send(std::move(from), make_request("GET", path, std::move(headers))));
    Answer answer{exchange.response, {}};
    Bytes buffer(256 * 1024);
    while (true) {
      CO_TRY(const auto size, co_await exchange.connection().read_body(buffer));
      if (size == 0) co_return answer;
      answer.body += as_text(ByteView(buffer).first(size));
    }
  }
  Result<Answer> get(registry::UpstreamClient& client, registry::Upstream from,
                     http::Headers headers = {}) {
    return test::run(context, fetch(client, std::move(from), std::move(headers)));
  }
  Result<Answer> get(http::Headers headers = {}) {
    return get(member, named(), std::move(headers));
  }

  std::string content, path;
  dht::MeshKey key = filled(7);
  dht::Identity server_identity = dht::Identity::generate();
  dht::Identity member_identity = dht::Identity::generate();
  MeshGate member_gate{member_identity, key, clock};
  SystemResolver resolver;
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  registry::UpstreamClient member{clock, dialer, nullptr, {}, &member_gate};

  static dht::MeshKey filled(std::uint8_t byte) {
    dht::MeshKey filled_key{};
    filled_key.fill(byte);
    return filled_key;
  }
};

}  // namespace hagring::agent
