// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/peer_id.hpp"

#include "dht/multiformats/base58.hpp"
#include "dht/multiformats/cid.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxInlinedKey = 42;  // peer-ids.md, "Peer Ids"
constexpr std::size_t kHashedSize = 34;

}  // namespace

PeerId PeerId::of_public_key(ByteView public_key) {
  if (public_key.size() > kMaxInlinedKey) return PeerId(sha256_multihash(public_key));
  Bytes bytes{kIdentityCode, static_cast<std::uint8_t>(public_key.size())};
  bytes.insert(bytes.end(), public_key.begin(), public_key.end());
  return PeerId(std::move(bytes));
}

std::optional<PeerId> PeerId::from_bytes(ByteView bytes) {
  if (bytes.size() < 3 || !is_multihash(bytes)) return std::nullopt;
  const bool inlined = bytes[0] == kIdentityCode && bytes.size() - 2 <= kMaxInlinedKey;
  const bool hashed = bytes[0] == kSha256Code && bytes.size() == kHashedSize;
  if (!inlined && !hashed) return std::nullopt;
  return PeerId(Bytes(bytes.begin(), bytes.end()));
}

std::optional<PeerId> PeerId::parse(std::string_view text) {
  if (text.starts_with("1") || text.starts_with("Qm")) {
    const auto bytes = from_base58(text);
    return bytes ? from_bytes(*bytes) : std::nullopt;
  }
  const auto cid = Cid::parse(text);
  if (!cid || cid->codec != kLibp2pKeyCodec) return std::nullopt;
  return from_bytes(cid->multihash);
}

std::string PeerId::to_string() const { return to_base58(bytes_); }

ByteView PeerId::inlined_key() const {
  if (bytes_[0] != kIdentityCode) return {};
  return ByteView(bytes_).subspan(2);
}

}  // namespace hagring::dht
