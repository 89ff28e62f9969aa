// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/mesh_gate.hpp"

#include "userspace/base/log.hpp"

namespace hagring::agent {

awaitable<Result<std::unique_ptr<ByteStream>>> MeshGate::enter(std::unique_ptr<ByteStream> stream,
                                                               std::string identity) {
  auto expected = dht::PeerId::parse(identity);
  if (!expected) {
    log::info("mesh-gate", "'{}' is no peer ID, so nobody can answer for it", identity);
    co_return Errc::unavailable;
  }
  dht::TlsFailure failure;
  auto member = co_await security_.connect(std::move(stream), *std::move(expected), &failure);
  if (!member) {
    log::debug("mesh-gate", "{}: {} ({})", identity, member.error().message(), failure.reason);
    co_return member.error();
  }
  co_return std::move(member->stream);
}

awaitable<Result<registry::PeerGate::Admitted>> MeshGate::admit(
    std::unique_ptr<ByteStream> stream) {
  dht::TlsFailure failure;
  auto member = co_await security_.accept(std::move(stream), &failure);
  if (!member) {
    log::debug("mesh-gate", "turned away: {} ({})", member.error().message(), failure.reason);
    co_return member.error();
  }
  co_return Admitted{std::move(member->stream), std::string(as_text(member->peer.bytes()))};
}

}  // namespace hagring::agent
