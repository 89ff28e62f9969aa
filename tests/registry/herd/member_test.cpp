// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/member.hpp"

#include <gtest/gtest.h>

#include "tests/registry/herd/samples.hpp"

namespace hagring::herd {
namespace {

class MemberTest : public testing::Test {
 protected:
  void start(MemberFacts facts = {.size = 8 * kPieceSize, .may_fetch = true}) {
    member.emplace(MemberOptions{}, sample_herd(), "self", facts, load);
    add(member->start({"first", "second", "third"}, now));
  }
  void add(const Actions& more) { actions.insert(actions.end(), more.begin(), more.end()); }
  void order(Body body, const NodeId& from = "first") {
    actions.clear();
    add(member->receive(from, body, now));
  }
  void pass(Duration time) {
    for (const TimePoint end = now + time; now < end;) {
      now += milliseconds(20);
      add(member->tick(now));
    }
  }
  void streams() {
    order(
        Stream{.epoch = 1, .head = "head", .sources = {{0, "parent", "backup"}, {1, "other", ""}}});
  }
  template <typename T>
  std::vector<T> of() const {
    std::vector<T> found;
    for (const Action& action : actions) {
      if (const auto* each = std::get_if<T>(&action)) found.push_back(*each);
    }
    return found;
  }
  template <typename T>
  std::vector<std::pair<NodeId, T>> sent() const {
    std::vector<std::pair<NodeId, T>> found;
    for (const Send& send : of<Send>()) {
      if (const auto* each = std::get_if<T>(&send.message.body)) found.emplace_back(send.to, *each);
    }
    return found;
  }

  TimePoint now{std::chrono::hours(1)};
  Load load;
  std::optional<Member> member;
  Actions actions;
};

TEST_F(MemberTest, RemembersWhomOrdersNameAsHeads) {
  start();
  streams();
  EXPECT_EQ(member->heads(), std::vector<NodeId>{"head"});
  order(Stream{.epoch = 2, .head = "next", .former = {"first", "head"}});
  EXPECT_EQ(member->heads(), (std::vector<NodeId>{"head", "first", "next"}));
  EXPECT_TRUE(actions.empty()) << "it streams on";
  order(Stream{.epoch = 2, .head = "liar"}, "a node that doesn't coordinate");
  EXPECT_EQ(member->heads().size(), 3U);
  for (int i = 0; i < 100; ++i) order(Stream{.epoch = 3, .head = "head " + std::to_string(i)});
  EXPECT_EQ(member->heads().size(), 32U);
  actions.clear();
  add(member->coordinator_lost("first", now));
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].second.head, "head 99");
}

TEST_F(MemberTest, FormerHeadsThatAreMadeUpDriveOutNoneThatWasNamed) {
  start();
  streams();
  for (int i = 0; i < 100; ++i) {
    order(Stream{.epoch = 1, .head = "head", .former = {"made up " + std::to_string(i)}});
  }
  EXPECT_EQ(member->heads().size(), 32U);
  EXPECT_EQ(member->heads()[0], "head");
  EXPECT_EQ(member->heads().back(), "made up 99");
  for (int i = 0; i < 31; ++i) order(Stream{.epoch = 2, .head = "next " + std::to_string(i)});
  EXPECT_EQ(member->heads()[0], "head") << "the made up ones go first";
  order(Stream{.epoch = 2, .head = "next 30", .former = {"made up"}});
  EXPECT_EQ(member->heads().back(), "next 30");
}

TEST_F(MemberTest, AFailedHolderThatCoordinatesIsStillAvoided) {
  start({.size = 8 * kPieceSize, .whole = true, .may_fetch = true});
  order(Holder{"first"});
  actions.clear();
  add(member->holder_failed("first", now));
  order(Redirect{"first"});
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].first, "first");
  EXPECT_EQ(sent<Join>()[0].second.avoid, std::vector<NodeId>{"first"});
}

TEST_F(MemberTest, JoinsAtTheNearestAndGoesOnWhereThatIsSilent) {
  start();
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].first, "first");
  actions.clear();
  pass(MemberOptions().join_wait - milliseconds(20));
  EXPECT_TRUE(sent<Join>().empty());
  pass(milliseconds(40));
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].first, "second");
  EXPECT_EQ(sent<Join>()[0].second.avoid, std::vector<NodeId>{"first"});
}

TEST_F(MemberTest, WithNobodyToAskItGivesUpAtOnceOrAfterAll) {
  member.emplace(MemberOptions{}, sample_herd(), "self", MemberFacts{}, load);
  add(member->start({}, now));
  EXPECT_EQ(of<GiveUp>().size(), 1U);
  actions.clear();
  start();
  pass(4 * MemberOptions().join_wait);
  EXPECT_EQ(sent<Join>().size(), 3U);
  EXPECT_EQ(of<GiveUp>().size(), 1U);
  pass(std::chrono::seconds(20));
  EXPECT_EQ(of<GiveUp>().size(), 1U) << "once";
}

TEST_F(MemberTest, FetchesFromTheFirstByteThatItLacks) {
  start();
  streams();
  add(member->arrived(0, 0, now));
  add(member->arrived(1, 0, now));
  add(member->arrived(0, 1, now));
  order(Fetch{.epoch = 2});
  ASSERT_EQ(of<FetchOrigin>().size(), 1U);
  EXPECT_EQ(of<FetchOrigin>()[0].from, 3 * kPieceSize);
  EXPECT_EQ(of<Unsubscribe>().size(), 2U);
  EXPECT_TRUE(member->fetching());
}

TEST_F(MemberTest, FetchesNothingWhenItHasAll) {
  start();
  streams();
  for (std::uint64_t i = 0; i < 4; ++i) {
    for (Stripe s = 0; s < kStripes; ++s) add(member->arrived(s, i, now));
  }
  order(Fetch{.epoch = 2, .from = 8 * kPieceSize});
  EXPECT_TRUE(of<FetchOrigin>().empty());
}

TEST_F(MemberTest, NeverFetchesWithoutCredentialsOfItsOwnClient) {
  start({.size = 8 * kPieceSize, .may_fetch = false});
  order(Fetch{.epoch = 1});
  EXPECT_TRUE(of<FetchOrigin>().empty());
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::denied);
  // Nor when the client has gone meanwhile.
  start();
  streams();
  EXPECT_TRUE(member->child_asks(0, "child", now));
  add(member->client_gone(now));
  order(Fetch{.epoch = 2});
  EXPECT_TRUE(of<FetchOrigin>().empty());
}

TEST_F(MemberTest, TakesOrdersFromItsCoordinatorOnlyAndNoOldOnes) {
  start();
  order(Fetch{.epoch = 5}, "stranger");
  EXPECT_TRUE(actions.empty());
  order(Wait{.epoch = 3});
  order(Fetch{.epoch = 2});
  EXPECT_TRUE(actions.empty());
}

TEST_F(MemberTest, KnowsWhoFetchesFromOrdersOfItsCoordinatorOnly) {
  start();
  EXPECT_TRUE(member->head().empty());
  streams();
  EXPECT_EQ(member->head(), "head");
  order(Stream{.epoch = 2, .head = "liar"}, "stranger");
  EXPECT_EQ(member->head(), "head");
  order(Stream{.epoch = 2, .head = "next"});
  EXPECT_EQ(member->head(), "next");
  order(Fetch{.epoch = 3});
  EXPECT_EQ(member->head(), "self");
}

TEST_F(MemberTest, GoesWhereItIsSentAndInsistsAfterSomeTimes) {
  start();
  NodeId at = "first";
  for (int i = 0; i < 4; ++i) {
    const NodeId next = "next " + std::to_string(i);
    order(Redirect{next}, at);
    ASSERT_EQ(sent<Join>().size(), 1U);
    EXPECT_EQ(sent<Join>()[0].first, next);
    EXPECT_FALSE(sent<Join>()[0].second.insist);
    at = next;
  }
  order(Redirect{"yet another"}, at);
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].first, at);
  EXPECT_TRUE(sent<Join>()[0].second.insist);
}

TEST_F(MemberTest, ASilentParentsBackupIsAskedAtOnceAndTheCoordinatorTold) {
  start();
  streams();
  add(member->arrived(0, 0, now));
  member->beat(1, "other", 0, now);
  actions.clear();
  const auto other_goes_on = [&](int times) {
    for (int i = 0; i < times; ++i) {
      pass(milliseconds(20));
      member->beat(1, "other", 0, now);
    }
  };
  other_goes_on(24);
  EXPECT_TRUE(sent<Lost>().empty()) << "a loaded machine isn't a dead one";
  other_goes_on(3);
  ASSERT_EQ(sent<Lost>().size(), 1U);
  EXPECT_EQ(sent<Lost>()[0].second.parent, "parent");
  EXPECT_EQ(sent<Lost>()[0].second.why, LostWhy::silent);
  ASSERT_EQ(of<Subscribe>().size(), 1U);
  EXPECT_EQ(of<Subscribe>()[0].parent, "backup");
  EXPECT_EQ(of<Subscribe>()[0].next, 1U);
}

TEST_F(MemberTest, BeatsAndBytesOfAPieceAreNoSilence) {
  start();
  streams();
  actions.clear();
  for (int i = 0; i < 50; ++i) {
    member->beat(0, "parent", 0, now);
    member->heard(1, "other", now);
    pass(milliseconds(20));
  }
  EXPECT_TRUE(sent<Lost>().empty());
}

TEST_F(MemberTest, AParentThatHasMoreAndSendsNothingIsStuck) {
  start();
  streams();
  actions.clear();
  for (int i = 0; i < 60; ++i) {
    member->beat(0, "parent", 3, now);
    member->beat(1, "other", 0, now);
    pass(milliseconds(20));
  }
  ASSERT_EQ(sent<Lost>().size(), 1U);
  EXPECT_EQ(sent<Lost>()[0].second.why, LostWhy::stuck);
}

TEST_F(MemberTest, AnOrderThatNeverCameIsAskedForAgain) {
  start();
  order(Stream{.epoch = 1, .head = "head", .sources = {{0, "parent", ""}}});
  actions.clear();
  for (const auto end = now + MemberOptions().join_wait + milliseconds(40); now < end;) {
    member->beat(0, "parent", 0, now);
    pass(milliseconds(20));
  }
  ASSERT_EQ(sent<Lost>().size(), 1U);
  EXPECT_EQ(sent<Lost>()[0].second.stripe, 1);
  EXPECT_EQ(sent<Lost>()[0].second.parent, "self");
}

TEST_F(MemberTest, GivesUpWhenNoByteComesInTime) {
  start();
  order(Wait{.epoch = 1});
  for (int i = 0; i < 90 && of<GiveUp>().empty(); ++i) {
    pass(milliseconds(100));
    add(member->receive("first", Wait{.epoch = 1}, now));
  }
  ASSERT_EQ(of<GiveUp>().size(), 1U);
  EXPECT_LT(now - TimePoint(std::chrono::hours(1)), std::chrono::seconds(9));
}

TEST_F(MemberTest, GivesUpWhatComesSlowlyForeverAndOnlyThat) {
  for (const std::uint64_t kib_a_second : {48U, 81U}) {
    actions.clear();
    start({.size = 1 << 30, .may_fetch = true});
    streams();
    add(member->arrived(0, 0, now));
    const TimePoint begin = now;
    std::uint64_t sent_pieces = 1;
    while (now - begin < std::chrono::seconds(60) && of<GiveUp>().empty()) {
      member->beat(0, "parent", member->have()[0], now);
      member->beat(1, "other", member->have()[1], now);
      pass(milliseconds(20));
      const auto ms = std::chrono::duration_cast<milliseconds>(now - begin).count();
      const auto bytes = static_cast<std::uint64_t>(ms) * kib_a_second * 1024 / 1000;
      for (; sent_pieces < bytes / kPieceSize; ++sent_pieces) {
        const auto stripe = static_cast<Stripe>(sent_pieces % kStripes);
        add(member->arrived(stripe, sent_pieces / kStripes, now));
      }
    }
    EXPECT_EQ(of<GiveUp>().size(), kib_a_second == 48 ? 1U : 0U) << kib_a_second;
    if (kib_a_second == 48) EXPECT_LT(now - begin, std::chrono::seconds(6));
  }
}

TEST_F(MemberTest, RateCountsOnlyWhileItsClientWaitsForAStream) {
  start({.size = 1 << 30, .may_fetch = true});
  streams();
  ASSERT_TRUE(member->child_asks(0, "child", now));
  add(member->client_gone(now));
  const auto slowly = [&] {
    for (int i = 0; i < 400; ++i) {
      member->beat(0, "parent", member->have()[0], now);
      member->beat(1, "other", member->have()[1], now);
      if (i % 50 == 0) add(member->arrived(0, member->have()[0], now));
      pass(milliseconds(20));
    }
  };
  slowly();
  EXPECT_TRUE(of<GiveUp>().empty()) << "nobody waits";
  start({.size = 1 << 30, .may_fetch = true});
  order(Fetch{.epoch = 1});
  slowly();
  EXPECT_TRUE(of<GiveUp>().empty()) << "it is at the origin already";
}

TEST_F(MemberTest, ServesNoMoreThanTwiceItsShareAndNoneOfItsParents) {
  start();
  streams();
  EXPECT_FALSE(member->child_asks(0, "parent", now));
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(member->child_asks(0, "child " + std::to_string(i), now));
  }
  EXPECT_FALSE(member->child_asks(1, "one more", now));
  EXPECT_TRUE(member->child_asks(0, "child 1", now)) << "it comes again";
  EXPECT_EQ(load.children(), 4U);
  order(Relieve{0, "child 2"});
  ASSERT_EQ(of<DropChild>().size(), 1U);
  EXPECT_EQ(of<DropChild>()[0].child, "child 2");
  EXPECT_TRUE(member->child_asks(1, "one more", now));
  member.reset();
  EXPECT_EQ(load.children(), 0U);
}

TEST_F(MemberTest, OneWithoutUnitsServesNobody) {
  start({.size = 8 * kPieceSize, .units = 0});
  EXPECT_FALSE(member->child_asks(0, "child", now));
}

TEST_F(MemberTest, GoesOnForItsChildrenWhenItsClientHasGone) {
  start();
  order(Fetch{.epoch = 1});
  ASSERT_TRUE(member->child_asks(0, "child", now));
  actions.clear();
  add(member->client_gone(now));
  pass(milliseconds(40));
  EXPECT_TRUE(of<StopFetch>().empty());
  member->child_left(0, "child");
  pass(milliseconds(40));
  EXPECT_EQ(of<StopFetch>().size(), 1U);
  EXPECT_EQ(sent<Ended>().size(), 1U);
  EXPECT_TRUE(member->over());
}

TEST_F(MemberTest, OneThatHasFetchedAllOfItDoesNotLeaveBeforeItIsJudged) {
  start();
  order(Fetch{.epoch = 1});
  ASSERT_TRUE(member->child_asks(0, "child", now));
  add(member->client_gone(now));
  for (Stripe s = 0; s < kStripes; ++s) {
    for (std::uint64_t i = 0; i < 4; ++i) add(member->arrived(s, i, now));
  }
  // The child has all that it wants of it; those behind the child may have less.
  member->child_left(0, "child");
  actions.clear();
  pass(milliseconds(100));
  EXPECT_TRUE(sent<Ended>().empty());
  add(member->finished(now));
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::whole);
  EXPECT_TRUE(member->over());
}

TEST_F(MemberTest, LeavesAParentWhenTheStripeIsComplete) {
  start();
  streams();
  actions.clear();
  for (std::uint64_t i = 0; i < 4; ++i) add(member->arrived(0, i, now));
  ASSERT_EQ(of<Unsubscribe>().size(), 1U);
  add(member->arrived(0, 7, now));
  EXPECT_EQ(member->have()[0], 4U) << "no gaps";
  add(member->finished(now));
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::whole);
}

TEST_F(MemberTest, OneWhoseClientComesBackMayFetchAgain) {
  start();
  streams();
  add(member->arrived(0, 0, now));
  ASSERT_TRUE(member->child_asks(0, "child", now));
  add(member->client_gone(now));
  actions.clear();
  add(member->client_came(true, now));
  ASSERT_EQ(sent<Join>().size(), 1U) << "the coordinator has been told that it may not";
  const auto join = sent<Join>()[0].second;
  EXPECT_TRUE(join.may_fetch);
  EXPECT_EQ(join.have, (PerStripe{1, 0}));
  EXPECT_EQ(join.parents[0], "parent");
  order(Fetch{.epoch = 2});
  EXPECT_EQ(of<FetchOrigin>().size(), 1U);
  actions.clear();
  add(member->client_came(true, now));
  EXPECT_TRUE(actions.empty()) << "it hadn't gone";
}

TEST_F(MemberTest, ALimitOfTheOriginsSendsClientsAwayThatHaveNothing) {
  start();
  streams();
  order(Wait{.epoch = 1, .limited_ms = 2000});
  EXPECT_EQ(of<Unsubscribe>().size(), 2U) << "parents that have nothing either";
  ASSERT_EQ(of<Refuse>().size(), 1U);
  EXPECT_EQ(of<Refuse>()[0].lasts, milliseconds(2000));
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::left);
  EXPECT_TRUE(member->over());
}

TEST_F(MemberTest, ALimitOfTheOriginsIsWaitedForInMidBlob) {
  start();
  streams();
  add(member->arrived(0, 0, now));
  order(Wait{.epoch = 1, .limited_ms = 8000});
  for (int i = 0; i < 375; ++i) {
    pass(milliseconds(20));
    for (Stripe s = 0; s < kStripes; ++s)
      member->beat(s, member->parent(s), member->have()[s], now);
  }
  EXPECT_TRUE(of<Refuse>().empty());
  EXPECT_TRUE(of<GiveUp>().empty()) << "slow as it is: everybody would ask the origin";
}

TEST_F(MemberTest, AFetcherThatIsLimitedTellsForHowLong) {
  start();
  order(Fetch{.epoch = 1});
  actions.clear();
  add(member->origin_limited(std::chrono::hours(1), now));
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::limited);
  EXPECT_EQ(sent<Ended>()[0].second.limited_ms, kMaxLimitedMs);
}

TEST_F(MemberTest, WhenTheDigestIsWrongChildrenGetTheRestAndNoOthersAnything) {
  start();
  streams();
  ASSERT_TRUE(member->child_asks(0, "child", now));
  ASSERT_TRUE(member->child_asks(1, "slow", now));
  actions.clear();
  add(member->corrupt(now));
  EXPECT_FALSE(member->child_asks(0, "another", now));
  member->child_left(0, "child");
  pass(milliseconds(900));
  EXPECT_TRUE(of<DropChild>().empty());
  EXPECT_TRUE(sent<Ended>().empty());
  EXPECT_FALSE(member->over());
  pass(milliseconds(200));
  EXPECT_EQ(of<DropChild>().size(), 1U);
  EXPECT_EQ(of<GiveUp>().size(), 1U);
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::corrupt);
  EXPECT_TRUE(member->over());
}

TEST_F(MemberTest, AStalledOriginIsReportedOnceAndTheFetchGoesOn) {
  start();
  order(Fetch{.epoch = 1});
  add(member->arrived(0, 0, now));
  actions.clear();
  pass(std::chrono::seconds(7));
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::origin_failed);
  EXPECT_TRUE(of<StopFetch>().empty());
  streams();
  EXPECT_EQ(of<StopFetch>().size(), 1U) << "another one fetches";
}

TEST_F(MemberTest, AHolderIsAskedOnceAndIfItFailsTheCoordinatorIsTold) {
  start();
  order(Holder{"holder"});
  ASSERT_EQ(of<FetchHolder>().size(), 1U);
  pass(std::chrono::seconds(1));
  order(Redirect{"first"});  // the answer to Progress where there is no herd
  EXPECT_TRUE(actions.empty());
  add(member->holder_failed("holder", now));
  ASSERT_EQ(sent<Lost>().size(), 1U);
  EXPECT_EQ(sent<Lost>()[0].second.parent, "holder");
  order(Redirect{"first"});
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].second.avoid, std::vector<NodeId>{"holder"});
}

TEST_F(MemberTest, OneThatIsDeletedTellsThatItServesNoMore) {
  start();
  streams();
  add(member->finished(now));
  ASSERT_TRUE(member->child_asks(0, "child", now));
  actions.clear();
  add(member->retire());
  EXPECT_EQ(of<DropChild>().size(), 1U);
  ASSERT_EQ(sent<Ended>().size(), 1U);
  EXPECT_EQ(sent<Ended>()[0].second.outcome, Outcome::left);
}

TEST_F(MemberTest, StaysTheHolderOfASmallBlobThatItHasFinished) {
  start({.size = 700, .whole = true, .may_fetch = true});
  order(Fetch{.epoch = 1});
  add(member->finished(now));
  actions.clear();
  add(member->retire());
  EXPECT_TRUE(sent<Ended>().empty());
}

TEST_F(MemberTest, WaitsForAClientThatIsToComeAndThenMayFetch) {
  start({.size = 8 * kPieceSize, .ahead = true});
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_FALSE(sent<Join>()[0].second.may_fetch);
  order(Wait{.epoch = 0});
  for (int i = 0; i < 10; ++i) {
    order(Wait{.epoch = 0});  // its coordinator is there, and nobody fetches
    pass(std::chrono::seconds(1));
    EXPECT_TRUE(of<GiveUp>().empty());
  }
  actions.clear();
  add(member->client_came(true, now));
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_TRUE(sent<Join>()[0].second.may_fetch);
  actions.clear();
  add(member->client_came(true, now));
  EXPECT_TRUE(actions.empty()) << "it has said so";
  order(Fetch{.epoch = 1});
  EXPECT_EQ(of<FetchOrigin>().size(), 1U);
}

TEST_F(MemberTest, GoesOnStreamingWhenItsClientComes) {
  start({.size = 8 * kPieceSize, .ahead = true});
  streams();
  add(member->arrived(0, 0, now));
  actions.clear();
  add(member->client_came(true, now));
  ASSERT_EQ(sent<Join>().size(), 1U);
  const Join join = sent<Join>()[0].second;
  EXPECT_TRUE(join.may_fetch);
  EXPECT_EQ(join.epoch, 1U);
  EXPECT_EQ(join.have, (PerStripe{1, 0}));
  EXPECT_EQ(join.parents[0], "parent");
  EXPECT_TRUE(of<Unsubscribe>().empty());
}

TEST_F(MemberTest, AClientThatCantFetchChangesNothing) {
  start({.size = 8 * kPieceSize, .ahead = true});
  streams();
  actions.clear();
  add(member->client_came(false, now));
  EXPECT_TRUE(actions.empty());
}

TEST_F(MemberTest, TellsAStandInWhatItHas) {
  start();
  streams();
  add(member->arrived(0, 0, now));
  actions.clear();
  add(member->coordinator_lost("first", now));
  ASSERT_EQ(sent<Join>().size(), 1U);
  EXPECT_EQ(sent<Join>()[0].first, "second");
  EXPECT_EQ(sent<Join>()[0].second.epoch, 1U);
  EXPECT_EQ(sent<Join>()[0].second.have, (PerStripe{1, 0}));
  EXPECT_EQ(sent<Join>()[0].second.parents[1], "other");
  EXPECT_TRUE(of<Unsubscribe>().empty()) << "its streams go on";
}

}  // namespace
}  // namespace hagring::herd
