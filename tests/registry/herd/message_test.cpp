// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/message.hpp"

#include <gtest/gtest.h>

#include <set>

#include "registry/herd/batch.hpp"
#include "tests/registry/herd/samples.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::herd {
namespace {

TEST(HerdMessage, EveryKindSurvivesTheWire) {
  std::set<std::string_view> names;
  for (const Message& message : sample_messages()) {
    const auto again = decode(encode(message));
    ASSERT_TRUE(again) << name_of(message.body);
    EXPECT_EQ(*again, message) << name_of(message.body);
    names.insert(name_of(message.body));
  }
  EXPECT_EQ(names.size(), std::variant_size_v<Body>);
}

TEST(HerdMessage, CutAnywhereItIsRefusedOrMeansLess) {
  for (const Message& message : sample_messages()) {
    const Bytes whole = encode(message);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto read = decode(ByteView(whole).first(size));
      EXPECT_FALSE(read && *read == message);
    }
  }
}

Message with(Body body) { return {sample_herd(), std::move(body)}; }

TEST(HerdMessage, WhatIsBeyondTheLimitsIsRefused) {
  const std::vector<Body> bad = {
      Join{.size = kMaxBlob + 1},
      Join{.units = 3},
      Join{.have = {pieces_of(kMaxBlob) + 1, 0}},
      Join{.parents = {std::string(kMaxNodeId + 1, 'x'), ""}},
      Join{.avoid = std::vector<NodeId>(kMaxNodesInMessage + 1, "x")},
      Join{.avoid = {""}},
      Lost{.stripe = 2, .parent = "p"},
      Lost{.parent = ""},
      Lost{.parent = "p", .why = static_cast<LostWhy>(6)},
      Ended{.outcome = static_cast<Outcome>(0)},
      Ended{.outcome = static_cast<Outcome>(7)},
      Ended{.outcome = Outcome::limited, .limited_ms = kMaxLimitedMs + 1},
      Wait{.limited_ms = kMaxLimitedMs + 1},
      Redirect{},
      Fetch{.progress_ms = 0},
      Fetch{.progress_ms = 60'001},
      Stream{.group = 2},
      Stream{.sources = {{.stripe = 0, .parent = "a"}, {.stripe = 0, .parent = "b"}}},
      Stream{.sources = {{.stripe = 2, .parent = "a"}}},
      Stream{.sources = {{.stripe = 0, .parent = ""}}},
      Relieve{.child = ""},
      Holder{},
  };
  for (const Body& body : bad) EXPECT_FALSE(decode(encode(with(body)))) << name_of(body);
  EXPECT_FALSE(decode(encode({sample_herd('a', std::string(kMaxZone + 1, 'z')), Wait{}})));
  EXPECT_FALSE(decode(encode({sample_herd('a', std::string("a\0b", 3)), Wait{}})));
  EXPECT_EQ(decode(Bytes(kMaxMessage + 1)).error(), Errc::too_large);
}

TEST(HerdMessage, UnknownFieldsAreSkippedAndUnknownKindsRefused) {
  Bytes bytes = encode(with(Wait{.epoch = 3}));
  proto::Writer more;
  more.text(99, "from a later version");
  bytes.insert(bytes.end(), more.message().begin(), more.message().end());
  EXPECT_EQ(*decode(bytes), with(Wait{.epoch = 3}));
  proto::Writer kind;
  kind.number(3, std::variant_size_v<Body> + 1);
  bytes.insert(bytes.end(), kind.message().begin(), kind.message().end());
  EXPECT_FALSE(decode(bytes));
}

TEST(HerdFrames, ComeOutHoweverTheBytesAreCut) {
  Bytes stream;
  for (const Message& message : sample_messages()) {
    const Bytes frame = encode_frame(message);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (const std::size_t step : {1UL, 2UL, 7UL, 100UL, stream.size()}) {
    FrameReader reader;
    std::vector<Message> messages;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      ASSERT_TRUE(
          reader.take(ByteView(stream).subspan(at, std::min(step, stream.size() - at)), messages));
      EXPECT_LE(reader.held(), kMaxMessage + 2);
    }
    EXPECT_EQ(messages, sample_messages());
    EXPECT_EQ(reader.held(), 0U);
  }
}

TEST(HerdFrames, ALengthBeyondTheLimitIsRefusedBeforeItsBytesCome) {
  std::vector<Message> messages;
  EXPECT_EQ(FrameReader().take(Bytes{0x81, 0x20}, messages).error(), Errc::too_large);  // 4097
  EXPECT_EQ(FrameReader().take(Bytes{0xff, 0xff}, messages).error(), Errc::too_large);
  EXPECT_TRUE(FrameReader().take(Bytes{0x80, 0x20}, messages));  // 4096
  EXPECT_FALSE(FrameReader().take(Bytes{0x00}, messages));       // an empty message
}

TEST(HerdBatch, SurvivesTheWireAndTheLargestFits) {
  Batch batch{.epoch = UINT64_MAX,
              .head = std::string(kMaxNodeId, 'h'),
              .stripe = 1,
              .first = pieces_of(kMaxBlob),
              .hashes = std::vector<PieceHash>(kMaxBatch),
              .signature = Bytes(64, 1)};
  EXPECT_EQ(*decode_batch(encode(batch)), batch);
  batch.hashes.emplace_back();
  EXPECT_FALSE(decode_batch(encode(batch)));
  batch.hashes.clear();
  EXPECT_FALSE(decode_batch(encode(batch)));
  EXPECT_EQ(decode_batch(Bytes(kMaxBatchBytes + 1)).error(), Errc::too_large);
}

}  // namespace
}  // namespace hagring::herd
