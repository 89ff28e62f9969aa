// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dht/kad/key.hpp"
#include "dht/kad/peer.hpp"

namespace hagring::sim {

/// Peer number `number`: an identity multihash of an Ed25519 key's form, at an IPv4 address of its
/// own in 10.0.0.0/8, port 5001.
inline kad::PeerInfo numbered_peer(std::uint32_t number) {
  Bytes id(38, 0);
  id[1] = 36;
  id[2] = 8;
  id[3] = 1;
  id[4] = 0x12;
  id[5] = 0x20;
  Bytes address{0x04, 10, 0, 0, 0, 0x06, 0x13, 0x89};
  for (unsigned i = 0; i < 4; ++i) {
    id[6 + i] = static_cast<std::uint8_t>(number >> (8 * i));
    if (i < 3) address[4 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return {*kad::PeerId::from_bytes(id), {kad::Multiaddr(address)}};
}

/// The same, of the network that a seed makes: another seed has other identities, so other places
/// in the key space.
inline kad::PeerInfo numbered_peer(std::uint32_t number, std::uint64_t seed) {
  kad::PeerInfo peer = numbered_peer(number);
  Bytes id(peer.id.bytes().begin(), peer.id.bytes().end());
  for (unsigned i = 0; i < 8; ++i) id[10 + i] = static_cast<std::uint8_t>(seed >> (8 * i));
  peer.id = *kad::PeerId::from_bytes(id);
  return peer;
}

}  // namespace hagring::sim
