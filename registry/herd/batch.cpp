// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/batch.hpp"

#include <algorithm>

#include "registry/herd/codec.hpp"
#include "registry/herd/message.hpp"
#include "userspace/base/hasher.hpp"

namespace hagring::herd {
namespace {

/// Ed25519 (RFC 8032).
constexpr std::size_t kMaxSignature = 64;
constexpr std::string_view kContext = "hagring herd batch 1";

const auto write_hash = [](const PieceHash& hash) { return Bytes(hash.begin(), hash.end()); };
const auto read_hash = [](ByteView bytes, PieceHash& hash) {
  if (bytes.size() != hash.size()) return false;
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return true;
};

template <typename Codec, typename T>
void describe(Codec& codec, T& batch) {
  codec.number(1, batch.epoch, UINT64_MAX);
  codec.text(2, batch.head, kMaxNodeId, 1);
  codec.number(3, batch.stripe, kStripes - 1);
  codec.number(4, batch.first, pieces_of(kMaxBlob));
  codec.list(5, batch.hashes, kMaxBatch, write_hash, read_hash);
  codec.bytes(6, batch.signature, kMaxSignature);
}

}  // namespace

PieceHash hash_piece(ByteView piece) {
  const Bytes hash = sha256(piece);
  PieceHash result;
  std::copy_n(hash.begin(), result.size(), result.begin());
  return result;
}

Bytes signed_bytes(const HerdId& herd, const Batch& batch) {
  FieldWriter writer;
  writer.text(1, std::string(kContext), kContext.size());
  writer.text(2, herd.digest.to_string(), SIZE_MAX);
  writer.text(3, herd.zone, kMaxZone);
  Batch plain = batch;
  plain.signature.clear();
  writer.bytes(4, encode(plain), SIZE_MAX);
  return writer.take();
}

Bytes encode(const Batch& batch) {
  FieldWriter writer;
  describe(writer, batch);
  return writer.take();
}

Result<Batch> decode_batch(ByteView bytes) {
  if (bytes.size() > kMaxBatchBytes) return Errc::too_large;
  FieldReader reader(bytes);
  Batch batch;
  describe(reader, batch);
  if (!reader.good() || batch.hashes.empty()) return Errc::bad_message;
  return batch;
}

}  // namespace hagring::herd
