// SPDX-License-Identifier: Apache-2.0
// What a child asks for, and what a parent says of a blob. The first byte says which.
#include "registry/herd/data_frame.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    const auto request = herd::parse_stripe_request(as_text(rest));
    if (!request) return 0;
    fuzz::require(request->stripe < herd::kStripes && request->zone.size() <= herd::kMaxZone);
    fuzz::require(herd::parse_stripe_request(herd::to_string(*request)) == request);
    return 0;
  }
  const auto about = herd::decode_about(rest);
  if (!about) return 0;
  fuzz::require(about->size <= herd::kMaxBlob);
  const auto again = herd::decode_about(herd::encode_about(*about));
  fuzz::require(again && *again == *about);
  return 0;
}
