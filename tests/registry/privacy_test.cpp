// SPDX-License-Identifier: Apache-2.0
#include "registry/privacy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/grants.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Optional;

Digest digest(int n) {
  return Digest::parse("sha256:" + std::string(62, '0') + std::to_string(10 + n)).value();
}

struct PrivacyTest : testing::Test {
  test::ManualClock clock;
  Privacy privacy{clock, {.digests = 4, .repositories_of_a_mark = 2}};
};

TEST_F(PrivacyTest, ContentOfARepositoryThatIsNotKnownIsMarkedUntilItIsPublic) {
  privacy.add(digest(1), "a.test/x");
  privacy.add(digest(2), "a.test/y");
  EXPECT_THAT(privacy.mark(digest(1)), Optional(ElementsAre("a.test/x")));
  privacy.learn("a.test/x", Audience::everybody);
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
  EXPECT_THAT(privacy.mark(digest(2)), Optional(ElementsAre("a.test/y")));
  privacy.learn("a.test/y", Audience::some);
  EXPECT_THAT(privacy.mark(digest(2)), Optional(ElementsAre("a.test/y")));
}

TEST_F(PrivacyTest, WhatIsPublicInOnePlaceIsPrivateNowhere) {
  privacy.learn("a.test/x", Audience::some);
  privacy.learn("a.test/y", Audience::everybody);
  privacy.add(digest(1), "a.test/x");
  privacy.add(digest(1), "a.test/y");
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
}

TEST_F(PrivacyTest, AudiencesAreBelievedForAWhile) {
  EXPECT_EQ(privacy.audience("a.test/x"), Audience::unknown);
  EXPECT_TRUE(privacy.begin_inquiry("a.test/x"));
  EXPECT_FALSE(privacy.begin_inquiry("a.test/x"));  // somebody is finding out
  clock.advance(61s);
  EXPECT_TRUE(privacy.begin_inquiry("a.test/x"));
  privacy.learn("a.test/x", Audience::unknown);
  EXPECT_EQ(privacy.audience("a.test/x"), Audience::unknown);
  privacy.learn("a.test/x", Audience::everybody);
  privacy.learn("a.test/y", Audience::some);
  clock.advance(59min);
  EXPECT_EQ(privacy.audience("a.test/x"), Audience::everybody);
  EXPECT_FALSE(privacy.begin_inquiry("a.test/x"));
  clock.advance(2min);
  EXPECT_EQ(privacy.audience("a.test/x"), Audience::unknown);
  EXPECT_TRUE(privacy.begin_inquiry("a.test/x"));
  EXPECT_EQ(privacy.audience("a.test/y"), Audience::some);
  clock.advance(24h);
  EXPECT_EQ(privacy.audience("a.test/y"), Audience::unknown);
  // What the former audience has marked stays so.
}

TEST_F(PrivacyTest, AnAnswerOfAnotherRegistryReleasesNothing) {
  privacy.add(digest(1), "a.test/x");
  privacy.add(digest(1), "evil.test/x", Proof::answer);
  EXPECT_FALSE(privacy.vouches("evil.test/x", digest(1)));
  EXPECT_TRUE(privacy.vouches("a.test/x", digest(1)));
  privacy.learn("evil.test/x", Audience::everybody);
  privacy.add(digest(1), "evil.test/x", Proof::answer);
  EXPECT_THAT(privacy.mark(digest(1)), Optional(ElementsAre("a.test/x")));
  privacy.add(digest(1), "evil.test/x", Proof::bytes);
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
}

TEST_F(PrivacyTest, AnAnswerThatCameBeforeTheMarkReleasesNothingEither) {
  privacy.add(digest(1), "evil.test/x", Proof::answer);
  EXPECT_TRUE(privacy.vouches("evil.test/x", digest(1)));  // nobody else claims it
  EXPECT_EQ(privacy.field_of(digest(1)), "?evil.test/x");
  privacy.add_field(digest(1), "a.test/x");
  EXPECT_FALSE(privacy.vouches("evil.test/x", digest(1)));
  Privacy other(clock);
  other.add_field(digest(1), privacy.field_of(digest(1)));
  EXPECT_FALSE(other.vouches("evil.test/x", digest(1)));
  ASSERT_TRUE(other.restore(privacy.take_changed().value()));
  EXPECT_FALSE(other.vouches("evil.test/x", digest(1)));
  other.learn("evil.test/x", Audience::everybody);
  EXPECT_THAT(other.mark(digest(1)), Optional(ElementsAre("a.test/x")));
  Privacy third(clock);
  third.learn("evil.test/x", Audience::everybody);
  third.add_field(digest(1), "?evil.test/x, a.test/x");
  EXPECT_TRUE(third.mark(digest(1)));
}

TEST_F(PrivacyTest, WhatIsMarkedWithoutANameIsFreedByBytesOnly) {
  privacy.add_unknown(digest(1));
  privacy.learn("a.test/x", Audience::everybody);
  privacy.add(digest(1), "a.test/x", Proof::answer);
  EXPECT_FALSE(privacy.vouches("a.test/x", digest(1)));
  EXPECT_THAT(privacy.mark(digest(1)), Optional(ElementsAre()));
  privacy.add(digest(1), "a.test/x", Proof::bytes);
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
}

TEST_F(PrivacyTest, MarksTravel) {
  privacy.add(digest(1), "a.test/x");
  privacy.add(digest(1), "b.test:5000/y/z");
  const auto field = Privacy::field(*privacy.mark(digest(1)));
  EXPECT_EQ(field, "a.test/x, b.test:5000/y/z");
  Privacy other(clock);
  other.add_field(digest(1), field);
  EXPECT_THAT(other.mark(digest(1)), Optional(ElementsAre("a.test/x", "b.test:5000/y/z")));
}

TEST_F(PrivacyTest, FieldThatSaysNothingStillMarks) {
  for (const auto* field : {"", "unknown", "a.test", "a.test/X", "a.test/x:1", "../etc", "\x01"}) {
    Privacy other(clock);
    other.add_field(digest(1), field);
    EXPECT_THAT(other.mark(digest(1)), Optional(ElementsAre())) << field;
    EXPECT_FALSE(Privacy::field(*other.mark(digest(1))).empty());
  }
}

TEST_F(PrivacyTest, FieldWithARepositoryThatIsPublicDoesNotMark) {
  privacy.learn("a.test/y", Audience::everybody);
  privacy.add_field(digest(1), "a.test/x, a.test/y");
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
}

TEST_F(PrivacyTest, MemoryIsBounded) {
  for (const auto* name : {"a.test/x", "a.test/y", "a.test/z"}) privacy.add(digest(1), name);
  EXPECT_THAT(privacy.mark(digest(1)), Optional(ElementsAre("a.test/y", "a.test/z")));
  for (int i = 2; i <= 4; ++i) privacy.add(digest(i), "a.test/x");
  EXPECT_TRUE(privacy.mark(digest(1)));  // touched last
  privacy.add(digest(5), "a.test/x");
  EXPECT_FALSE(privacy.mark(digest(2)));
  EXPECT_TRUE(privacy.mark(digest(1)));
  privacy.add_field(digest(6), "a.t/1, a.t/2, a.t/3, a.t/4");
  EXPECT_THAT(privacy.mark(digest(6)), Optional(ElementsAre("a.t/1", "a.t/2")));
  EXPECT_EQ(privacy.totals().marked, 4U);
}

TEST_F(PrivacyTest, ARepositoryWithManyMarksPushesOutNobodyElses) {
  Privacy small(clock, {.digests = 6});
  small.add(digest(1), "a.test/x");
  small.add_unknown(digest(2));
  for (int i = 10; i < 40; ++i) small.add(digest(i), "b.test/x");
  EXPECT_TRUE(small.mark(digest(1)));
  EXPECT_TRUE(small.mark(digest(2)));
  EXPECT_TRUE(small.mark(digest(39)));
  EXPECT_FALSE(small.mark(digest(10)));
  // Nor do many repositories of one registry.
  for (int i = 40; i < 80; ++i) small.add(digest(i), "b.test/y" + std::to_string(i));
  EXPECT_THAT(small.mark(digest(1)), Optional(ElementsAre("a.test/x")));
  EXPECT_TRUE(small.mark(digest(2)));
  EXPECT_EQ(small.totals().marked, 6U);
}

TEST_F(PrivacyTest, FurtherYesesOfAPublicRepositoryAreNoNews) {
  privacy.learn("a.test/x", Audience::everybody);
  EXPECT_TRUE(privacy.take_changed());
  for (int i = 0; i < 10; ++i) {
    clock.advance(1min);
    privacy.learn("a.test/x", Audience::everybody);
    EXPECT_EQ(privacy.take_changed(), std::nullopt) << i;
  }
  EXPECT_EQ(privacy.believed_for("a.test/x"), 1h);
  clock.advance(6min);
  privacy.learn("a.test/x", Audience::everybody);
  Privacy other(clock);
  ASSERT_TRUE(other.restore(privacy.take_changed().value()));
  EXPECT_EQ(other.believed_for("a.test/x"), 1h);
  privacy.learn("a.test/x", Audience::some);
  EXPECT_TRUE(privacy.take_changed());
}

TEST_F(PrivacyTest, OutlivesARestart) {
  EXPECT_EQ(privacy.take_changed(), std::nullopt);
  privacy.learn("a.test/x", Audience::some);
  privacy.learn("a.test/y", Audience::everybody);
  privacy.add(digest(1), "a.test/x");
  privacy.add(digest(1), "b.test/z");
  privacy.add_field(digest(2), "unknown");
  const auto text = privacy.take_changed();
  ASSERT_TRUE(text);
  EXPECT_EQ(privacy.take_changed(), std::nullopt);
  privacy.add(digest(1), "a.test/x");
  EXPECT_EQ(privacy.take_changed(), std::nullopt);  // that was known
  Privacy other(clock);
  ASSERT_TRUE(other.restore(*text));
  EXPECT_EQ(other.audience("a.test/x"), Audience::some);
  EXPECT_EQ(other.audience("a.test/y"), Audience::everybody);
  EXPECT_THAT(other.mark(digest(1)), Optional(ElementsAre("a.test/x", "b.test/z")));
  EXPECT_THAT(other.mark(digest(2)), Optional(ElementsAre()));
  EXPECT_EQ(other.totals().private_repositories, 1U);
  EXPECT_EQ(other.totals().public_repositories, 1U);
  EXPECT_EQ(other.marked("b.test/z"), 1U);
}

TEST_F(PrivacyTest, WhatIsPresumedIsMarkedOnceAllOfItIsForSome) {
  privacy.presume(digest(1), {"a.test/x", "a.test/y"});
  privacy.presume(digest(2), {"a.test/x", "b.test/y"});
  EXPECT_EQ(privacy.totals().presumed, 2U);
  privacy.learn("a.test/x", Audience::some);
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
  privacy.learn("a.test/y", Audience::some);
  privacy.learn("b.test/y", Audience::some);
  EXPECT_THAT(privacy.mark(digest(1)), Optional(ElementsAre("a.test/x", "a.test/y")));
  EXPECT_TRUE(privacy.vouches("a.test/y", digest(1)));
  // Two registries: neither speaks for the other's.
  EXPECT_TRUE(privacy.mark(digest(2)));
  EXPECT_FALSE(privacy.vouches("b.test/y", digest(2)));
  EXPECT_EQ(privacy.totals().presumed, 0U);
  EXPECT_EQ(Privacy(clock).presumed(digest(1)), Privacy::Names());
}

TEST_F(PrivacyTest, AnAnswerOfAnotherRegistryMarksNothingThatIsPresumed) {
  privacy.presume(digest(1), {"a.test/x"});
  EXPECT_FALSE(privacy.vouches("evil.test/x", digest(1)));
  EXPECT_TRUE(privacy.vouches("a.test/z", digest(1)));  // the same registry has said so
  privacy.add(digest(1), "evil.test/x", Proof::answer);
  EXPECT_EQ(privacy.mark(digest(1)), std::nullopt);
  // Nor does one that came before it was known where the content is from.
  privacy.add(digest(2), "evil.test/x", Proof::answer);
  privacy.presume(digest(2), {"a.test/x"});
  EXPECT_FALSE(privacy.vouches("evil.test/x", digest(2)));
  EXPECT_FALSE(privacy.proven(digest(2)));
  privacy.add(digest(2), "evil.test/x", Proof::bytes);
  EXPECT_TRUE(privacy.vouches("evil.test/x", digest(2)));
  EXPECT_TRUE(privacy.proven(digest(2)));
}

TEST_F(PrivacyTest, PresumptionsOfPeersThatCannotBeReadFreeNothing) {
  for (const auto* field : {"", "?", "a.test", "a.test/X", "a.test/x:1", "a.test/x, \x01"}) {
    privacy.presume_field(digest(1), field);
    EXPECT_EQ(privacy.presumed(digest(1)).back(), kUnknownSource) << field;
    EXPECT_FALSE(privacy.vouches("a.test/x", digest(1)));
  }
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "a.test/x" + std::to_string(i) + ",";
  privacy.presume_field(digest(1), many);
  EXPECT_EQ(privacy.presumed(digest(1)).size(), 33U);
  EXPECT_EQ(privacy.presumed(digest(1)).back(), kUnknownSource);
}

TEST_F(PrivacyTest, WhatCameFreeIsRememberedUntilThereIsProof) {
  privacy.presume(digest(1), {"a.test/x"});
  privacy.presume_field(digest(1), kNoSource);
  privacy.presume(digest(1), {"a.test/made"});
  EXPECT_EQ(privacy.presumed(digest(1)), Privacy::Names());
  Privacy other(clock);
  ASSERT_TRUE(other.restore(privacy.take_changed().value()));
  EXPECT_TRUE(other.came_free(digest(1)));
  privacy.presume_field(digest(1), kNoSource);
  EXPECT_EQ(privacy.take_changed(), std::nullopt);
  other.add(digest(1), "a.test/x");
  EXPECT_FALSE(other.came_free(digest(1)));
  Privacy open(clock, {.peers_may_free = false});
  open.presume_field(digest(1), kNoSource);
  EXPECT_FALSE(open.came_free(digest(1)));
}

TEST_F(PrivacyTest, InquiriesAreBounded) {
  Privacy few(clock, {.inquiries = 2});
  EXPECT_TRUE(few.begin_inquiry("a.test/1"));
  EXPECT_TRUE(few.begin_inquiry("a.test/2"));
  EXPECT_FALSE(few.begin_inquiry("a.test/3"));
  EXPECT_EQ(few.knowledge("a.test/1").inquiry, Knowledge::Inquiry::under_way);
  few.end_inquiry("a.test/1", true);
  EXPECT_EQ(few.knowledge("a.test/1").inquiry, Knowledge::Inquiry::unreachable);
  clock.advance(61s);
  EXPECT_EQ(few.knowledge("a.test/1").inquiry, Knowledge::Inquiry::none);
  EXPECT_TRUE(few.begin_inquiry("a.test/3"));
}

TEST_F(PrivacyTest, WhatWasPublicIsRememberedForAWeekAndWhatWasPrivateForEver) {
  privacy.learn("a.test/x", Audience::everybody);
  privacy.learn("a.test/y", Audience::some);
  clock.advance(24h * 6);
  EXPECT_EQ(privacy.knowledge("a.test/x").said, Audience::everybody);
  EXPECT_FALSE(privacy.knowledge("a.test/x").believed);
  clock.advance(24h * 2);
  EXPECT_EQ(privacy.knowledge("a.test/x").said, Audience::unknown);
  EXPECT_EQ(privacy.knowledge("a.test/y").said, Audience::some);
}

TEST_F(PrivacyTest, TakesNothingFromAFileThatIsDamaged) {
  privacy.learn("a.test/x", Audience::some);
  privacy.add(digest(1), "a.test/x");
  const auto text = privacy.take_changed().value();
  for (std::size_t i = 0; i < text.size(); ++i) {
    Privacy other(clock);
    auto damaged = text;
    damaged[i] ^= 1;
    EXPECT_EQ(other.restore(damaged).error(), Errc::bad_message) << i;
    EXPECT_FALSE(other.restore(text.substr(0, i)));
    EXPECT_EQ(other.totals().marked, 0U);
  }
  EXPECT_FALSE(privacy.restore(""));
}

struct GrantsTest : PrivacyTest {
  Grants grants{clock, {.grants = 2, .contents = 2, .challenges = 2, .challenge_bytes = 20}};
};

TEST_F(GrantsTest, AreOfOneCredentialOneRepositoryAndOneTime) {
  grants.allow("Bearer one", "a.test/x");
  EXPECT_TRUE(grants.allowed("Bearer one", "a.test/x", 5min));
  EXPECT_FALSE(grants.allowed("Bearer two", "a.test/x", 5min));
  EXPECT_FALSE(grants.allowed("", "a.test/x", 5min));
  EXPECT_FALSE(grants.allowed("Bearer one", "a.test/y", 5min));
  clock.advance(5min);
  EXPECT_FALSE(grants.allowed("Bearer one", "a.test/x", 5min));
  EXPECT_TRUE(grants.allowed("Bearer one", "a.test/x", 1h));
  grants.deny("Bearer one", "a.test/x");
  EXPECT_FALSE(grants.allowed("Bearer one", "a.test/x", 1h));
}

TEST_F(GrantsTest, AreBounded) {
  for (const auto* who : {"a", "b", "c"}) grants.allow(who, "a.test/x");
  EXPECT_FALSE(grants.allowed("a", "a.test/x", 1h));
  EXPECT_TRUE(grants.allowed("b", "a.test/x", 1h));
  for (int i = 1; i <= 3; ++i) grants.confirm(digest(i), "a.test/x");
  EXPECT_FALSE(grants.confirmed(digest(1), "a.test/x"));
  EXPECT_TRUE(grants.confirmed(digest(3), "a.test/x"));
  EXPECT_FALSE(grants.confirmed(digest(3), "a.test/y"));
  grants.challenged("a.test/x", "Basic realm=\"r\"");
  grants.challenged("a.test/y", std::string(21, 'x'));
  EXPECT_EQ(grants.challenge("a.test/x"), "Basic realm=\"r\"");
  EXPECT_EQ(grants.challenge("a.test/y"), std::nullopt);
}

}  // namespace
}  // namespace hagring::registry
