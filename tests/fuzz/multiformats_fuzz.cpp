// SPDX-License-Identifier: Apache-2.0
// What names things in the mesh, in binary and as text: multiaddrs, CIDs, peer IDs, host keys.
#include <cstdlib>

#include "dht/multiformats/cid.hpp"
#include "dht/multiformats/multiaddr.hpp"
#include "dht/public_key.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  using namespace hagring::dht;
  const ByteView bytes(data, size);
  const auto text = as_text(bytes);
  if (const auto address = Multiaddr::from_bytes(bytes)) {
    require(Multiaddr::from_bytes(address->to_bytes()) == *address);
    const auto written = Multiaddr::parse(address->to_string());
    require(written && *written == *address);
    (void)address->tcp_endpoint();
    (void)address->tcp_name();
  }
  if (const auto address = Multiaddr::parse(text)) {
    require(*Multiaddr::from_bytes(address->to_bytes()) == *address);
  }
  if (const auto cid = Cid::from_bytes(bytes)) {
    require(Cid::from_bytes(cid->to_bytes()) == *cid);
  }
  if (const auto cid = Cid::parse(text)) require(Cid::from_bytes(cid->to_bytes()) == *cid);
  if (const auto peer = PeerId::from_bytes(bytes))
    require(PeerId::parse(peer->to_string()) == *peer);
  if (const auto peer = PeerId::parse(text)) require(PeerId::from_bytes(peer->bytes()) == *peer);
  if (const auto key = PublicKey::parse(bytes)) {
    require(PublicKey::parse(key->message())->message() == key->message());
    require(!key->verify(bytes, bytes));
  }
  return 0;
}
