// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/cid.hpp"

#include "dht/multiformats/base58.hpp"
#include "dht/multiformats/varint.hpp"
#include "userspace/base/hasher.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kSha256Size = 32;

/// Takes one varint off the front of `bytes`.
std::optional<std::uint64_t> take(ByteView& bytes) {
  const auto read = read_varint(bytes);
  if (read.status != VarintRead::Status::complete) return std::nullopt;
  bytes = bytes.subspan(read.size);
  return read.value;
}

}  // namespace

Bytes sha256_multihash(ByteView bytes) {
  Bytes multihash{kSha256Code, kSha256Size};
  const auto digest = sha256(bytes);
  multihash.insert(multihash.end(), digest.begin(), digest.end());
  return multihash;
}

bool is_multihash(ByteView bytes) {
  const auto code = take(bytes);
  const auto size = take(bytes);
  return code && size && *size == bytes.size() && (*code != kSha256Code || *size == kSha256Size);
}

std::optional<Cid> Cid::from_bytes(ByteView bytes) {
  const auto version = take(bytes);
  const auto codec = take(bytes);
  if (!version || *version != 1 || !codec || !is_multihash(bytes)) return std::nullopt;
  return Cid{*codec, Bytes(bytes.begin(), bytes.end())};
}

std::optional<Cid> Cid::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxBase58Text) return std::nullopt;
  const auto digits = text.substr(1);
  std::optional<Bytes> bytes;
  if (text[0] == 'b') bytes = from_base32(digits);
  if (text[0] == 'k') bytes = from_base36(digits);
  if (text[0] == 'z') bytes = from_base58(digits);
  if (!bytes) return std::nullopt;
  return from_bytes(*bytes);
}

Bytes Cid::to_bytes() const {
  Bytes bytes{1};
  append_varint(bytes, codec);
  bytes.insert(bytes.end(), multihash.begin(), multihash.end());
  return bytes;
}

std::string Cid::to_string() const { return "b" + to_base32(to_bytes()); }

}  // namespace hagring::dht
