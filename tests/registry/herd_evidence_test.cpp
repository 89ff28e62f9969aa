// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/evidence.hpp"

#include <gtest/gtest.h>

#include "tests/registry/fake_server.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

Digest digest_of(char digit) { return *Digest::parse("sha256:" + std::string(64, digit)); }

Evidence::Words words(const NodeId& head, std::size_t hashes) {
  return {
      std::make_shared<const Batch>(Batch{.head = head, .hashes = std::vector<PieceHash>(hashes)})};
}

TEST(HerdEvidence, IsKeptForItsTimeAndGivenOnce) {
  test::ManualClock clock;
  Evidence evidence(clock, {.age = 30min});
  evidence.keep(digest_of('a'), words("head", 3));
  evidence.keep(digest_of('a'), words("another", 2));
  evidence.keep(digest_of('b'), words("head", 4));
  EXPECT_EQ(evidence.hashes(), 9U);
  EXPECT_EQ(evidence.take(digest_of('a')).size(), 2U);
  EXPECT_TRUE(evidence.take(digest_of('a')).empty());
  EXPECT_EQ(evidence.hashes(), 4U);
  clock.advance(30min);
  EXPECT_TRUE(evidence.take(digest_of('b')).empty());
  EXPECT_EQ(evidence.hashes(), 0U);
}

TEST(HerdEvidence, WhatAllClientsOfAPartyBringIsKeptOnce) {
  test::ManualClock clock;
  Evidence evidence(clock);
  auto first = words("head", 3);
  evidence.keep(digest_of('a'), first);
  const auto more = words("another", 2);
  first.insert(first.end(), more.begin(), more.end());
  evidence.keep(digest_of('a'), first);
  EXPECT_EQ(evidence.hashes(), 5U);
  EXPECT_EQ(evidence.take(digest_of('a')).size(), 2U);
}

TEST(HerdEvidence, IsBounded) {
  test::ManualClock clock;
  Evidence evidence(clock, {.most_hashes = 10});
  evidence.keep(digest_of('a'), words("head", 11));
  EXPECT_EQ(evidence.hashes(), 0U);
  evidence.keep(digest_of('a'), words("head", 6));
  evidence.keep(digest_of('b'), words("head", 6));
  EXPECT_EQ(evidence.hashes(), 6U);
  EXPECT_TRUE(evidence.take(digest_of('a')).empty()) << "the oldest goes";
  EXPECT_EQ(evidence.take(digest_of('b')).size(), 1U);
}

TEST(HerdEvidence, TheRightBytesTellWhoseWordsAreTrue) {
  // Three pieces: 0 and 2 of one stripe, 1 of the other; the last one is shorter.
  const auto content = test::noise(2 * kPieceSize + 1000);
  asio::io_context context;
  test::MemoryStore store;
  auto right = test::run(context, store.open(store.add(content)));
  ASSERT_TRUE(right);
  const auto hash = [&](std::size_t piece) {
    return hash_piece(as_bytes(std::string_view(content).substr(piece * kPieceSize, kPieceSize)));
  };
  Batch batch{.head = "head", .stripe = 0, .first = 0, .hashes = {hash(0), hash(2)}};
  EXPECT_TRUE(is_true(batch, 0, *right));
  EXPECT_TRUE(is_true(batch, 1, *right));
  EXPECT_TRUE(is_true(Batch{.stripe = 1, .hashes = {hash(1)}}, 0, *right));
  EXPECT_TRUE(is_true(Batch{.stripe = 0, .first = 1, .hashes = {hash(2)}}, 0, *right));
  batch.hashes[1][0] ^= 1;
  EXPECT_TRUE(is_true(batch, 0, *right));
  EXPECT_FALSE(is_true(batch, 1, *right));
  EXPECT_FALSE(is_true(Batch{.stripe = 1, .hashes = {hash(0)}}, 0, *right));
  EXPECT_FALSE(is_true(Batch{.stripe = 1, .hashes = {hash(1), hash(1)}}, 1, *right))
      << "there is no such piece";
  EXPECT_FALSE(is_true(Batch{.first = UINT64_MAX / 4, .hashes = {hash(0)}}, 0, *right));
  // What can't be read convicts nobody.
  EXPECT_FALSE(is_true(batch, 1, *right));
  right->size += 1;
  EXPECT_TRUE(is_true(batch, 1, *right));
}

TEST(HerdEvidence, NamesEachThatSignedWhatIsNotSo) {
  const std::string content = "the right bytes";
  asio::io_context context;
  test::MemoryStore store;
  const auto right = test::run(context, store.open(store.add(content)));
  ASSERT_TRUE(right);
  Evidence::Words all = words("liar", 1);
  const Batch honest{.head = "honest", .hashes = {hash_piece(as_bytes(content))}};
  all.push_back(std::make_shared<Batch>(honest));
  const auto more = words("another", 2);
  all.insert(all.end(), more.begin(), more.end());
  std::atomic<bool> stop = false;
  EXPECT_EQ(liars_among(all, *right, stop), (std::set<NodeId>{"another", "liar"}));
  stop = true;
  EXPECT_TRUE(liars_among(all, *right, stop).empty()) << "nobody waits for it";
}

}  // namespace
}  // namespace hagring::herd
