// SPDX-License-Identifier: Apache-2.0
// Signed batches of piece hashes: what is read is within the limits and the same when written
// again.
#include "registry/herd/batch.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring::herd;
  using hagring::fuzz::require;
  const auto batch = decode_batch({data, size});
  if (!batch) return 0;
  require(!batch->hashes.empty() && batch->hashes.size() <= kMaxBatch);
  require(batch->stripe < kStripes && !batch->head.empty());
  const auto again = decode_batch(encode(*batch));
  require(again && *again == *batch);
  return 0;
}
