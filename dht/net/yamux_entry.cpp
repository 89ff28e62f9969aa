// SPDX-License-Identifier: Apache-2.0
#include "dht/net/yamux_entry.hpp"

#include <algorithm>

namespace hagring::dht {

void YamuxBuffer::append(ByteView bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

std::size_t YamuxBuffer::take(MutableBytes into) {
  const auto count = std::min(into.size(), size());
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), count, into.begin());
  taken_ += count;
  // What remains is moved only when as much has been taken: a byte is moved once on average.
  if (taken_ >= size()) compact();
  return count;
}

void YamuxBuffer::clear() {
  taken_ = bytes_.size();
  compact();
}

/// Threat: a peer that fills many streams one after another, each of which keeps its memory.
void YamuxBuffer::compact() {
  bytes_ = Bytes(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), bytes_.end());
  taken_ = 0;
}

}  // namespace hagring::dht
