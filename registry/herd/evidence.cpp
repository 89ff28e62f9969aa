// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/evidence.hpp"

#include <algorithm>
#include <utility>

#include "userspace/base/read_at.hpp"

namespace hagring::herd {

/// Under the lock.
void Evidence::drop_old() {
  const auto now = clock_.now();
  while (!kept_.empty() && (kept_.front().until <= now || hashes_ > options_.most_hashes)) {
    hashes_ -= kept_.front().hashes;
    kept_.pop_front();
  }
}

/// Under the lock. Each client of a party brings the same ones.
void Evidence::drop_known(const Digest& digest, Words& words) const {
  std::set<std::shared_ptr<const Batch>> known;
  for (const auto& one : kept_) {
    if (one.digest == digest) known.insert(one.words.begin(), one.words.end());
  }
  std::erase_if(words, [&](const auto& batch) { return known.contains(batch); });
}

void Evidence::keep(const Digest& digest, Words words) {
  const std::lock_guard lock(mutex_);
  drop_known(digest, words);
  std::size_t hashes = 0;
  for (const auto& batch : words) hashes += batch->hashes.size();
  if (hashes == 0 || hashes > options_.most_hashes) return;
  kept_.push_back({digest, std::move(words), hashes, clock_.now() + options_.age});
  hashes_ += hashes;
  drop_old();
}

Evidence::Words Evidence::take(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  drop_old();
  Words all;
  std::erase_if(kept_, [&](Kept& one) {
    if (one.digest != digest) return false;
    all.insert(all.end(), one.words.begin(), one.words.end());
    hashes_ -= one.hashes;
    return true;
  });
  return all;
}

std::size_t Evidence::hashes() const {
  const std::lock_guard lock(mutex_);
  return hashes_;
}

bool is_true(const Batch& batch, std::size_t i, const registry::OpenBlob& right) {
  const auto number = piece_number(batch.stripe, batch.first + i);
  // Threat: a batch of pieces that no blob has.
  if (number >= pieces_of(right.size)) return false;
  Bytes piece(kPieceSize);
  const auto size = read_at(right.file.get(), number * kPieceSize, piece);
  const auto length = std::min<std::uint64_t>(kPieceSize, right.size - number * kPieceSize);
  return !size || *size != length || hash_piece(ByteView(piece).first(*size)) == batch.hashes[i];
}

std::set<NodeId> liars_among(const Evidence::Words& words, const registry::OpenBlob& right,
                             const std::atomic<bool>& stop) {
  std::set<NodeId> liars;
  for (const auto& batch : words) {
    for (std::size_t i = 0; i < batch->hashes.size() && !liars.contains(batch->head); ++i) {
      if (stop) return liars;
      if (!is_true(*batch, i, right)) liars.insert(batch->head);
    }
  }
  return liars;
}

}  // namespace hagring::herd
