// SPDX-License-Identifier: Apache-2.0
// What names things in the mesh, in binary and as text: varints, multiaddrs, CIDs, peer IDs.
#include "dht/multiformats/base58.hpp"
#include "dht/multiformats/cid.hpp"
#include "dht/multiformats/multiaddr.hpp"
#include "dht/multiformats/varint.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using namespace hagring::dht;
using fuzz::require;

void read_number(ByteView bytes) {
  const auto read = read_varint(bytes);
  if (read.status != VarintRead::Status::complete) return;
  Bytes written;
  append_varint(written, read.value);
  require(std::ranges::equal(written, bytes.first(read.size)));
}

void check(const PeerId& peer) {
  const ByteView bytes(peer.bytes());
  require(PeerId::from_bytes(peer.bytes()) == peer);
  require(PeerId::parse(peer.to_string()) == peer);
  require(PeerId::parse(Cid{kLibp2pKeyCodec, Bytes(bytes.begin(), bytes.end())}.to_string()) ==
          peer);
  const auto key = peer.inlined_key();
  require(key.empty() || PeerId::of_public_key(key) == peer);
}

void check(const Cid& cid) {
  require(Cid::from_bytes(cid.to_bytes()) == cid);
  if (cid.to_string().size() <= kMaxBase58Text) require(Cid::parse(cid.to_string()) == cid);
}

void check(const Multiaddr& address) {
  require(*Multiaddr::from_bytes(address.to_bytes()) == address);
  const auto written = Multiaddr::parse(address.to_string());
  require(written && *written == address);
  const auto bare = address.without_peer();
  if (const auto peer = address.peer()) {
    check(*peer);
    require(bare.with_peer(*peer) == address);
  } else {
    require(bare == address);
  }
  const auto endpoint = address.tcp_endpoint();
  if (endpoint) {
    // A mapped address is written as IPv4, the one other form of it.
    const auto made = Multiaddr::of(*endpoint);
    require(made == bare || made.parts()[0].protocol != bare.parts()[0].protocol);
  }
  const auto name = address.tcp_name();
  require(!name || (!endpoint && !name->first.empty()));
}

void check_text(ByteView bytes, std::string_view text) {
  if (bytes.size() <= 64) {
    require(from_base58(to_base58(bytes)) == Bytes(bytes.begin(), bytes.end()));
    require(from_base32(to_base32(bytes)) == Bytes(bytes.begin(), bytes.end()));
  }
  if (const auto read = from_base58(text)) require(to_base58(*read) == text);
  if (const auto read = from_base32(text)) require(to_base32(*read) == text);
  (void)from_base36(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto text = as_text(bytes);
  read_number(bytes);
  check_text(bytes, text);
  if (const auto address = Multiaddr::from_bytes(bytes)) check(*address);
  if (const auto address = Multiaddr::parse(text)) check(*address);
  if (const auto cid = Cid::from_bytes(bytes)) check(*cid);
  if (const auto cid = Cid::parse(text)) check(*cid);
  if (const auto peer = PeerId::from_bytes(bytes)) check(*peer);
  if (const auto peer = PeerId::parse(text)) check(*peer);
  // Any key has a name, however long it is.
  check(PeerId::of_public_key(size == 0 ? ByteView(as_bytes("k")) : bytes));
  return 0;
}
