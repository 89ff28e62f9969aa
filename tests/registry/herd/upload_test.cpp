// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/upload.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "registry/herd/herd_id.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLimit = 1'000'000;
constexpr TimePoint kBegin{1h};

/// Streams so much in a second, and a bit more, so that this second counts.
void stream(Upload& upload, std::uint64_t bytes) {
  for (int i = 0; i <= 20; ++i) upload.streamed(bytes / 10, kBegin + i * 100ms);
}

TEST(Upload, WithoutALimitNobodyWaits) {
  Upload upload(0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(upload.take_turn(kPieceSize, kBegin), 0s);
  EXPECT_EQ(upload.share(), Upload::Share());
}

TEST(Upload, NoMoreFallsDueThanTheLimitAndABurst) {
  Upload upload(kLimit);
  std::uint64_t sent = 0;
  auto now = kBegin;
  for (int i = 0; i < 500; ++i) {
    // Pauses and bursts, as the origin sends.
    if (i % 100 == 99) now += 3s;
    now += upload.take_turn(kPieceSize, now);
    sent += kPieceSize;
    const auto seconds = std::chrono::duration<double>(now - kBegin).count();
    EXPECT_LE(static_cast<double>(sent), kLimit * seconds + static_cast<double>(upload.burst()))
        << i;
  }
}

TEST(Upload, TheWholeLimitIsUsed) {
  Upload upload(kLimit);
  auto now = kBegin;
  for (std::uint64_t sent = 0; sent < 10 * kLimit; sent += kPieceSize) {
    now += upload.take_turn(kPieceSize, now);
  }
  EXPECT_NEAR(std::chrono::duration<double>(now - kBegin).count(), 10, 0.3);
}

TEST(Upload, APauseSavesUpNoMoreThanABurst) {
  Upload upload(kLimit);
  (void)upload.take_turn(kPieceSize, kBegin);
  const auto later = kBegin + 1h;
  std::uint64_t at_once = 0;
  while (upload.take_turn(1000, later) == 0s) at_once += 1000;
  EXPECT_LE(at_once, upload.burst());
  EXPECT_GT(at_once, upload.burst() - 2000);
}

/// Threat: a child that comes and goes without end, and never waits for its turn.
TEST(Upload, WhoLeavesBeforeItsTurnTakesNothingFromTheOthers) {
  Upload upload(kLimit);
  auto now = kBegin;
  std::uint64_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    for (int j = 0; j < 10; ++j) {
      if (upload.take_turn(kPieceSize, now) > 0s) upload.give_back(kPieceSize);
    }
    now += upload.take_turn(kPieceSize, now);
    sent += kPieceSize;
  }
  const auto seconds = std::chrono::duration<double>(now - kBegin).count();
  EXPECT_NEAR(static_cast<double>(sent), kLimit * seconds, 3.0 * upload.burst());
}

TEST(Upload, ChildrenGetEqualShares) {
  Upload upload(kLimit);
  std::array<TimePoint, 3> next{kBegin, kBegin, kBegin};
  std::array<std::uint64_t, 3> got{};
  for (int i = 0; i < 300; ++i) {
    // Whose last piece has gone asks for its next; the third child is a slow one.
    const auto child = std::min_element(next.begin(), next.end()) - next.begin();
    const auto at = next[child];
    next[child] = at + upload.take_turn(kPieceSize, at) + (child == 2 ? 1s : 0s);
    ++got[child];
  }
  EXPECT_NEAR(static_cast<double>(got[0]), static_cast<double>(got[1]), 5);
  EXPECT_LT(got[2], got[0] / 2);  // and holds up nobody
}

TEST(Upload, AParentIsWorthWhatTheLimitLeavesOfItsIntake) {
  constexpr std::uint64_t kMega = 1'000'000;
  const auto share_of = [](std::uint64_t limit, std::uint64_t intake) {
    Upload upload(limit);
    stream(upload, intake);
    return upload.share();
  };
  EXPECT_EQ(share_of(20 * kMega, 10 * kMega), Upload::Share());
  EXPECT_EQ(share_of(9 * kMega, 10 * kMega), Upload::Share());  // all nodes have the same limit
  EXPECT_EQ(share_of(5 * kMega, 10 * kMega), (Upload::Share{.units = 1}));
  EXPECT_EQ(share_of(kMega, 10 * kMega), (Upload::Share{.units = 1, .slow = true}));
  // Nothing is known of its link yet.
  EXPECT_EQ(Upload(kMega).share(), (Upload::Share{.units = 1, .slow = true}));
  EXPECT_EQ(Upload(100 * kMega).share(), Upload::Share());
}

}  // namespace
}  // namespace hagring::herd
