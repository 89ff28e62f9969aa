// SPDX-License-Identifier: Apache-2.0
#include "registry/conduct.hpp"

#include <gtest/gtest.h>

#include "registry/known_sizes.hpp"
#include "registry/pull_record.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

const Digest kDigest = Digest::parse("sha256:" + std::string(64, 'a')).value();

TEST(Conduct, BansForAWhile) {
  test::ManualClock clock;
  Conduct conduct(clock, {.ban = 30min, .suspicion = 1min, .origin_first = 10min});
  conduct.wrong_digest(kDigest, {"liar"}, true);
  EXPECT_TRUE(conduct.banned("liar"));
  EXPECT_FALSE(conduct.banned("other"));
  EXPECT_TRUE(conduct.origin_first(kDigest));
  clock.advance(10min);
  EXPECT_FALSE(conduct.origin_first(kDigest));
  EXPECT_EQ(conduct.banned().front().remaining, 20min);
  clock.advance(20min);
  EXPECT_FALSE(conduct.banned("liar"));
  EXPECT_TRUE(conduct.banned().empty());
}

TEST(Conduct, SuspicionIsShortAndDoesNotShortenABan) {
  test::ManualClock clock;
  Conduct conduct(clock, {.ban = 30min, .suspicion = 1min});
  conduct.wrong_digest(kDigest, {"liar"}, true);
  conduct.wrong_digest(kDigest, {"liar", "bystander"}, false);
  EXPECT_TRUE(conduct.banned("bystander"));
  clock.advance(2min);
  EXPECT_FALSE(conduct.banned("bystander"));
  EXPECT_TRUE(conduct.banned("liar"));
}

TEST(Conduct, OneThatSendsWhatItMadeUpIsBanned) {
  test::ManualClock clock;
  Conduct conduct(clock, {.ban = 30min});
  conduct.lied("liar", "sent false pieces");
  EXPECT_FALSE(conduct.may_ask("liar"));
  EXPECT_EQ(conduct.banned().at(0).reason, "sent false pieces");
  clock.advance(29min);
  EXPECT_TRUE(conduct.banned("liar"));
  clock.advance(1min);
  EXPECT_FALSE(conduct.banned("liar"));
}

/// The origin may have sent wrong bytes once, and honest nodes signed them.
TEST(Conduct, OneThatSignedWhatIsNotSoIsBannedTheSecondTime) {
  test::ManualClock clock;
  Conduct conduct(clock, {.ban = 30min, .suspicion = 1min});
  const auto another = Digest::parse("sha256:" + std::string(64, 'b')).value();
  conduct.signed_false("head", kDigest);
  conduct.signed_false("head", kDigest);
  EXPECT_TRUE(conduct.banned("head"));
  clock.advance(1min);
  EXPECT_FALSE(conduct.banned("head"));
  conduct.signed_false("head", another);
  clock.advance(2min);
  EXPECT_TRUE(conduct.banned("head"));
  clock.advance(28min);
  EXPECT_FALSE(conduct.banned("head"));
  conduct.signed_false("head", kDigest);
  clock.advance(1min);
  EXPECT_FALSE(conduct.banned("head")) << "the first time is forgotten";
}

/// What is left of a peer's pause.
std::optional<Duration> pause(const Conduct& conduct, const std::string& peer) {
  for (const auto& paused : conduct.paused()) {
    if (paused.peer == peer) return paused.remaining;
  }
  return std::nullopt;
}

TEST(Conduct, OneAskerAtATimeTriesAPeerThatWasOutOfReach) {
  test::ManualClock clock;
  Conduct conduct(clock, {.first_pause = 5s, .longest_pause = 12s, .trial = 4s});
  EXPECT_TRUE(conduct.may_ask("down"));
  conduct.out_of_reach("down");
  conduct.out_of_reach("down");  // asked at the same time
  EXPECT_EQ(pause(conduct, "down"), 5s);
  EXPECT_FALSE(conduct.may_ask("down"));
  EXPECT_TRUE(conduct.may_ask("other"));
  clock.advance(5s);
  EXPECT_TRUE(conduct.may_ask("down"));
  EXPECT_FALSE(conduct.may_ask("down"));
  conduct.out_of_reach("down");
  EXPECT_EQ(pause(conduct, "down"), 10s);
  clock.advance(10s);
  EXPECT_TRUE(conduct.may_ask("down"));
  clock.advance(4s);  // whoever tried was cancelled
  EXPECT_TRUE(conduct.may_ask("down"));
  conduct.out_of_reach("down");
  EXPECT_EQ(pause(conduct, "down"), 12s);
  clock.advance(12s);
  EXPECT_TRUE(conduct.may_ask("down"));
  conduct.in_reach("down");
  EXPECT_TRUE(conduct.may_ask("down"));
  EXPECT_FALSE(pause(conduct, "down"));
}

TEST(Conduct, RemembersNoMoreThanItsCapacity) {
  test::ManualClock clock;
  Conduct conduct(clock, {.capacity = 2});
  for (int i = 0; i < 5; ++i) conduct.wrong_digest(kDigest, {"peer-" + std::to_string(i)}, true);
  EXPECT_EQ(conduct.banned().size(), 2U);
  for (int i = 0; i < 5; ++i) conduct.out_of_reach("peer-" + std::to_string(i));
  EXPECT_EQ(conduct.paused().size(), 2U);
}

TEST(KnownSizes, LearnsFromManifestsOnlyAndForgetsTheOldest) {
  const auto digest = [](char digit) {
    return Digest::parse("sha256:" + std::string(64, digit)).value();
  };
  KnownSizes sizes(4);  // each of two manifests and what it names
  const auto learn = [&](char manifest, char child, int size) {
    sizes.learn(digest(manifest), R"({"schemaVersion":2,"manifests":[{"digest":")" +
                                      digest(child).to_string() + R"(","size":)" +
                                      std::to_string(size) + R"(,"mediaType":"a/b"}]})");
  };
  sizes.learn(digest('0'), "no manifest");
  EXPECT_FALSE(sizes.has_learned_from(digest('0')));
  learn('1', 'a', 1);
  learn('2', 'b', 2);
  EXPECT_TRUE(sizes.has_learned_from(digest('1')));
  EXPECT_EQ(sizes.of(digest('1')), std::nullopt);  // nobody has told its own
  learn('1', 'a', 3);
  learn('3', 'c', 4);
  EXPECT_EQ(sizes.of(digest('a')), std::optional<std::uint64_t>(3));
  EXPECT_EQ(sizes.of(digest('b')), std::nullopt);
  EXPECT_FALSE(sizes.has_learned_from(digest('2')));
  EXPECT_EQ(sizes.of(digest('c')), std::optional<std::uint64_t>(4));
  learn('4', '3', 5);  // named by another one after it was learned from
  EXPECT_TRUE(sizes.has_learned_from(digest('3')));
  EXPECT_EQ(sizes.of(digest('3')), std::optional<std::uint64_t>(5));
}

TEST(KnownSizes, TellsWhichLayersAreOfOneImage) {
  const auto digest = [](char digit) {
    return Digest::parse("sha256:" + std::string(64, digit)).value();
  };
  const auto child = [&](char digit) {
    return R"({"mediaType":"a/b","size":1,"digest":")" + digest(digit).to_string() + R"("})";
  };
  KnownSizes sizes;
  const auto learn = [&](char manifest, const std::string& layers) {
    sizes.learn(digest(manifest),
                R"({"schemaVersion":2,"config":)" + child('c') + R"(,"layers":[)" + layers + "]}");
  };
  learn('1', child('a') + "," + child('b'));
  EXPECT_EQ(sizes.layers_with(digest('b')), (std::vector{digest('a'), digest('b')}));
  EXPECT_TRUE(sizes.layers_with(digest('c')).empty()) << "the config is no layer";
  learn('2', child('a') + "," + child('d'));
  EXPECT_EQ(sizes.layers_with(digest('a')), (std::vector{digest('a'), digest('d')}));
  EXPECT_EQ(sizes.layers_with(digest('b')), (std::vector{digest('a'), digest('b')}));
}

TEST(PullRecord, KeepsTheLastPullsAndCountsAll) {
  PullRecord record(2);
  for (int i = 0; i < 3; ++i) {
    record.add({.reference = std::to_string(i), .source = PullSource::peer, .bytes = 10});
  }
  record.add({.repository = std::string(5000, 'x'),
              .source = PullSource::passthrough,
              .note = "\x1b\xff!"});
  const auto pulls = record.recent();
  ASSERT_EQ(pulls.size(), 2U);
  EXPECT_EQ(pulls[0].repository.size(), 512U);
  EXPECT_EQ(pulls[0].note, std::string(2, '?') + "!");
  EXPECT_EQ(pulls[1].reference, "2");
  EXPECT_EQ(record.totals(PullSource::peer).requests, 3U);
  EXPECT_EQ(record.totals(PullSource::peer).bytes, 30U);
  EXPECT_EQ(record.totals(PullSource::local).requests, 0U);
}

}  // namespace
}  // namespace hagring::registry
