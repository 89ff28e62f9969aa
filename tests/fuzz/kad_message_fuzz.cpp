// SPDX-License-Identifier: Apache-2.0
// A Kademlia message: what is read is within the limits, and survives being written and read again.
#include <cstdlib>

#include "dht/kad/message.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring::kad;
  const auto message = decode_message({data, size});
  if (!message) return 0;
  require(message->key.size() <= kMaxKeySize);
  require(message->closer_peers.size() <= kMaxCloserPeers);
  require(message->provider_peers.size() <= kMaxProviderPeers);
  for (const PeerInfo& peer : message->closer_peers) {
    require(peer.addresses.size() <= kMaxAddresses);
    for (const Multiaddr& address : peer.addresses) {
      require(address.bytes().size() <= kMaxAddressSize);
      const auto ip = address.ip();
      require(ip.empty() || ip.size() == 4 || ip.size() == 16);
    }
  }
  const auto again = decode_message(encode(*message));
  require(again && *again == *message);
  return 0;
}
