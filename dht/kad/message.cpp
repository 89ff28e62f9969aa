// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/message.hpp"

namespace hagring::kad {
namespace {

void put_varint(Bytes& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_number(Bytes& out, std::uint8_t field, std::uint64_t value) {
  out.push_back(static_cast<std::uint8_t>(field << 3));
  put_varint(out, value);
}

void put_bytes(Bytes& out, std::uint8_t field, ByteView value) {
  out.push_back(static_cast<std::uint8_t>(field << 3 | 2));
  put_varint(out, value.size());
  out.insert(out.end(), value.begin(), value.end());
}

void put_peers(Bytes& out, std::uint8_t field, const std::vector<PeerInfo>& peers) {
  for (const PeerInfo& peer : peers) {
    Bytes record;
    put_bytes(record, 1, peer.id.bytes());
    for (const Multiaddr& address : peer.addresses) put_bytes(record, 2, address.bytes());
    put_bytes(out, field, record);
  }
}

}  // namespace

Bytes encode(const Message& message) {
  Bytes out;
  out.reserve(16 + message.key.size() +
              (message.closer_peers.size() + message.provider_peers.size()) * 64);
  put_number(out, 1, static_cast<std::uint64_t>(message.type));
  if (!message.key.empty()) put_bytes(out, 2, message.key);
  put_peers(out, 8, message.closer_peers);
  put_peers(out, 9, message.provider_peers);
  // clusterLevelRaw is unused; go-libp2p always sends 1, so we look the same.
  put_number(out, 10, 1);
  return out;
}

}  // namespace hagring::kad
