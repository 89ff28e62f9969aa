// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dht/net/membership.hpp"
#include "registry/peer_gate.hpp"

namespace hagring::agent {

/// The peer port's gate: members of the mesh only, and the very one that the DHT has named
/// (dht::MemberSecurity). Identities are the text of peer IDs. Used from one thread.
class MeshGate final : public registry::PeerGate {
 public:
  /// `clock` must outlive this.
  MeshGate(const dht::Identity& identity, const dht::MeshKey& key, Clock& clock)
      : security_(identity, key, clock) {}

  awaitable<Result<std::unique_ptr<ByteStream>>> enter(std::unique_ptr<ByteStream> stream,
                                                       std::string identity) override;
  awaitable<Result<Admitted>> admit(std::unique_ptr<ByteStream> stream) override;

 private:
  dht::MemberSecurity security_;
};

}  // namespace hagring::agent
