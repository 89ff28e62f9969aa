// SPDX-License-Identifier: Apache-2.0
// Herd messages: what is read is within the limits and the same when written and read again, alone
// and as frames of a stream that is cut anywhere.
#include "registry/herd/message.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring::herd;
using hagring::fuzz::require;

void check(const Message& message) {
  require(message.herd.zone.size() <= kMaxZone);
  if (const auto* join = std::get_if<Join>(&message.body)) {
    require(join->size <= kMaxBlob && join->units <= 2);
    require(join->avoid.size() <= kMaxNodesInMessage);
    for (const NodeId& node : join->avoid) require(!node.empty() && node.size() <= kMaxNodeId);
  }
  if (const auto* stream = std::get_if<Stream>(&message.body)) {
    require(stream->group < kStripes && stream->sources.size() <= kStripes);
    for (const Source& source : stream->sources) {
      require(source.stripe < kStripes && !source.parent.empty());
    }
  }
  const auto again = decode(encode(message));
  require(again && *again == message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto message = decode({data, size})) check(*message);
  hagring::fuzz::Input input({data, size});
  FrameReader reader;
  std::vector<Message> messages;
  while (!input.empty()) {
    if (!reader.take(input.bytes(input.segment()), messages)) break;
    require(reader.held() <= kMaxMessage + 2);
  }
  for (const Message& message : messages) check(message);
  return 0;
}
