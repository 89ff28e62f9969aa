// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/coordinator.hpp"

#include <gtest/gtest.h>

#include <set>

#include "registry/herd/herd_state.hpp"
#include "tests/registry/herd/samples.hpp"

namespace hagring::herd {
namespace {

struct FewNodes final : Mesh {
  std::vector<NodeId> nearest(const Key& place, std::size_t count) const override {
    return rank(place, nodes, count);
  }
  std::vector<NodeId> holders(const HerdId&) const override { return known_holders; }

  std::vector<NodeId> nodes;
  std::vector<NodeId> known_holders;
};

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    for (int i = 0; i < 8; ++i) mesh.nodes.push_back("node " + std::to_string(i));
    ranked = rank(place_of(herd), mesh.nodes, 8);
    make(ranked[0]);
  }
  void make(const NodeId& self, CoordinatorOptions options = {}) {
    coordinator = std::make_unique<Coordinator>(options, self, mesh);
  }
  Outgoing says(const NodeId& from, Body body) {
    return coordinator->receive(from, {herd, std::move(body)}, now);
  }
  Outgoing pass(Duration time) {
    Outgoing out;
    for (const TimePoint end = now + time; now < end;) {
      now += milliseconds(1);
      if (coordinator->next_tick() > now) continue;
      const Outgoing more = coordinator->tick(now);
      out.insert(out.end(), more.begin(), more.end());
    }
    return out;
  }
  template <typename T>
  static std::vector<std::pair<NodeId, T>> of(const Outgoing& out) {
    std::vector<std::pair<NodeId, T>> found;
    for (const Send& send : out) {
      if (const auto* each = std::get_if<T>(&send.message.body)) found.emplace_back(send.to, *each);
    }
    return found;
  }
  static Join fresh(bool may_fetch = true) { return {.size = 1 << 20, .may_fetch = may_fetch}; }

  HerdId herd = sample_herd();
  FewNodes mesh;
  std::vector<NodeId> ranked;
  std::unique_ptr<Coordinator> coordinator;
  TimePoint now{std::chrono::hours(1)};
};

TEST_F(CoordinatorTest, TheFirstThatMayFetchesAtOnceTheOthersStream) {
  EXPECT_EQ(of<Wait>(says("a", fresh(false))).size(), 1U);
  const auto fetch = of<Fetch>(says("b", fresh()));
  ASSERT_EQ(fetch.size(), 1U);
  EXPECT_EQ(fetch[0].first, "b");
  says("c", fresh());
  const auto streams = of<Stream>(pass(milliseconds(5)));
  ASSERT_EQ(streams.size(), 2U);
  for (const auto& [to, stream] : streams) {
    EXPECT_EQ(stream.sources.size(), 2U) << to;
    EXPECT_EQ(stream.head, "b");
  }
}

TEST_F(CoordinatorTest, HoweverManyAreOutOfReachItSendsToTheNearestThatIsNot) {
  make(ranked[6]);
  Join join = fresh();
  join.avoid.assign(ranked.begin(), ranked.begin() + 5);
  const auto redirects = of<Redirect>(says("a", join));
  ASSERT_EQ(redirects.size(), 1U) << "two stand-ins would each have it fetched";
  EXPECT_EQ(redirects[0].second.to, ranked[5]);
  EXPECT_EQ(coordinator->find(herd), nullptr);
}

TEST_F(CoordinatorTest, OneThatIsNotTheNearestSendsToTheNearest) {
  make(ranked[2]);
  const auto out = says("a", fresh());
  ASSERT_EQ(of<Redirect>(out).size(), 1U);
  EXPECT_EQ(of<Redirect>(out)[0].second.to, ranked[0]);
  Join join = fresh();
  join.avoid = {ranked[0], ranked[1]};
  EXPECT_TRUE(of<Redirect>(says("a", join)).empty());
  EXPECT_EQ(coordinator->herds(), 1U);
}

TEST_F(CoordinatorTest, AStandInWaitsForTheFetcherThatThereMayBe) {
  make(ranked[1]);
  Join fresh_one = fresh();
  fresh_one.avoid = {ranked[0]};
  EXPECT_TRUE(of<Fetch>(says("new", fresh_one)).empty());
  Join fetcher = fresh_one;
  fetcher.epoch = 3;
  fetcher.fetching = true;
  fetcher.have = {4, 4};
  const auto out = says("old", fetcher);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].first, "old");
  EXPECT_EQ(of<Fetch>(out)[0].second.epoch, 4U);
  EXPECT_TRUE(of<Fetch>(pass(milliseconds(200))).empty());
}

TEST_F(CoordinatorTest, OfTwoFetchersTheOneThatHasLessStops) {
  says("a", fresh());
  says("a", Progress{.have = {5, 5}});
  Join other = fresh();
  other.epoch = 1;
  other.fetching = true;
  other.have = {2, 2};
  says("b", other);
  const auto out = pass(milliseconds(5));
  EXPECT_TRUE(of<Fetch>(out).empty());
  ASSERT_FALSE(of<Stream>(out).empty());
  EXPECT_EQ(of<Stream>(out)[0].first, "b");
  // One that has more, and that others stream from.
  Join child = fresh();
  child.epoch = 1;
  child.have = {7, 7};
  child.parents = {"c", "c"};
  says("child", child);
  other.have = {8, 8};
  EXPECT_EQ(of<Fetch>(says("c", other)).size(), 1U) << "this one has more";
}

TEST_F(CoordinatorTest, NobodyBecomesTheHeadBySayingSo) {
  says("a", fresh());
  for (const char* node : {"b", "c", "d", "e"}) says(node, fresh());
  pass(milliseconds(5));
  says("a", Progress{.have = {5, 5}});
  Join liar = fresh();
  liar.epoch = 1;
  liar.fetching = true;
  liar.have = {8, 8};
  for (const char* node : {"stranger", "b", "c", "d", "e"}) {
    EXPECT_TRUE(of<Fetch>(says(node, liar)).empty()) << node;
    for (const auto& [to, stream] : of<Stream>(pass(milliseconds(5)))) EXPECT_NE(to, "a") << node;
    EXPECT_EQ(coordinator->find(herd)->head(), "a") << node;
  }
}

TEST_F(CoordinatorTest, EpochsDoNotWrap) {
  says("a", fresh());
  Join join = fresh();
  join.epoch = UINT64_MAX;
  says("b", join);
  const auto out = coordinator->lost("a", now);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].second.epoch, kMaxEpoch + 1);
}

TEST_F(CoordinatorTest, AKnownHolderNeedsNoHerd) {
  mesh.known_holders = {"h"};
  const auto out = says("a", fresh());
  ASSERT_EQ(of<Holder>(out).size(), 1U);
  EXPECT_EQ(of<Holder>(out)[0].second.node, "h");
  EXPECT_EQ(coordinator->herds(), 0U);
  Join failed = fresh();
  failed.avoid = {"h"};
  says("a", failed);
  EXPECT_EQ(coordinator->herds(), 1U);
  EXPECT_EQ(of<Fetch>(pass(milliseconds(60))).size(), 1U);
}

/// Nobody has the whole, whatever somebody says that it is.
TEST_F(CoordinatorTest, ASizeThatIsMadeUpDoesNotKeepTheRestFromBeingFetched) {
  Join join = fresh(false);
  join.size = 1;
  says("liar", join);
  says("head", fresh());
  says("a", fresh());
  says("b", fresh());
  pass(milliseconds(5));
  for (const auto* node : {"head", "a", "b"}) says(node, Progress{.have = {2, 2}, .size = 1 << 20});
  EXPECT_EQ(of<Fetch>(coordinator->lost("head", now)).size(), 1U);
}

TEST_F(CoordinatorTest, OneMemberCannotTakeAllTheRoom) {
  for (const auto& node : {"greedy", "other"}) {
    for (int i = 0; i < 600; ++i) {
      const HerdId one = sample_herd('c', "zone-" + std::to_string(i) + node);
      Join join = fresh();
      join.insist = true;
      coordinator->receive(node, {one, join}, now);
    }
  }
  EXPECT_EQ(coordinator->herds(), 1024U);
  EXPECT_NE(coordinator->find(sample_herd('c', "zone-0other")), nullptr);
  EXPECT_EQ(coordinator->find(sample_herd('c', "zone-599greedy")), nullptr);
}

TEST_F(CoordinatorTest, WhoAsksAndWhatFailedAreNoHolders) {
  mesh.known_holders = {"a", "liar", "another liar", "h"};
  EXPECT_EQ(of<Holder>(says("a", fresh())).at(0).second.node, "liar");
  Join failed = fresh();
  failed.avoid = {"liar"};
  EXPECT_EQ(of<Holder>(says("a", failed)).at(0).second.node, "another liar");
  // Two in vain are enough.
  failed.avoid = {"liar", "another liar"};
  EXPECT_TRUE(of<Holder>(says("a", failed)).empty());
  EXPECT_EQ(coordinator->herds(), 1U);
}

TEST_F(CoordinatorTest, AMemberThatStreamsIsNotSentToAHolder) {
  mesh.known_holders = {"h"};
  Join streams = fresh();
  streams.epoch = 3;
  streams.have = {4, 4};
  EXPECT_TRUE(of<Holder>(says("a", streams)).empty());
  EXPECT_EQ(coordinator->herds(), 1U);
}

TEST_F(CoordinatorTest, TheFetcherDeadTheOneWithMostBytesThatMayFetchGoesOn) {
  says("head", fresh());
  says("much, without credentials", fresh(false));
  says("more", fresh());
  says("less", fresh());
  pass(milliseconds(5));
  says("much, without credentials", Progress{.have = {7, 7}});
  says("more", Progress{.have = {5, 4}});
  says("less", Progress{.have = {3, 3}});
  const auto out = coordinator->lost("head", now);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].first, "more");
  EXPECT_EQ(of<Fetch>(out)[0].second.from, 9 * kPieceSize);
  EXPECT_EQ(of<Fetch>(out)[0].second.epoch, 2U);
}

/// They take only what somebody has signed of whom they were told.
TEST_F(CoordinatorTest, ThoseThatStreamAreToldOfAnotherHeadAtOnce) {
  for (const auto* node : {"head", "a", "b", "c"}) says(node, fresh());
  auto out = pass(milliseconds(5));
  EXPECT_EQ(of<Stream>(out).size(), 3U);
  for (const auto& [to, order] : of<Stream>(out)) EXPECT_TRUE(order.former.empty());
  out = coordinator->lost("head", now);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  const auto head = of<Fetch>(out)[0].first;
  std::set<NodeId> told;
  for (const auto& [to, order] : of<Stream>(out)) {
    EXPECT_EQ(order.head, head);
    EXPECT_EQ(order.former, std::vector<NodeId>{"head"});
    told.insert(to);
  }
  EXPECT_EQ(told.size(), 2U);
  // So are those that come later: what the first one signed is passed on still.
  says("late", fresh());
  const auto late = of<Stream>(pass(milliseconds(5)));
  ASSERT_FALSE(late.empty());
  EXPECT_EQ(late.back().second.former, std::vector<NodeId>{"head"});
}

TEST_F(CoordinatorTest, AStandInHearsOfFormerHeadsFromOthersThanThemselves) {
  Join join = fresh();
  join.epoch = 3;
  join.parents = {"p", "q"};
  join.head = "a";
  for (const auto& [to, order] : of<Stream>(says("a", join))) EXPECT_TRUE(order.former.empty());
  join.head = "former";
  auto out = says("b", join);
  for (const Send& send : pass(milliseconds(5))) out.push_back(send);
  ASSERT_FALSE(of<Stream>(out).empty());
  std::set<NodeId> told;
  for (const auto& [to, order] : of<Stream>(out)) {
    EXPECT_EQ(order.former, std::vector<NodeId>{"former"});
    told.insert(to);
  }
  EXPECT_EQ(told, (std::set<NodeId>{"a", "b"}));
}

TEST_F(CoordinatorTest, OneThatMakesUpHeadsMakesNobodyForgetAny) {
  says("first", fresh());
  for (const char* node : {"b", "c", "liar"}) says(node, fresh(false));
  pass(milliseconds(5));
  says("second", fresh());
  pass(milliseconds(5));
  says("first", Ended{Outcome::origin_failed});
  ASSERT_EQ(coordinator->find(herd)->head(), "second");
  pass(milliseconds(5));
  std::size_t orders = 0;
  const auto count = [&](const Outgoing& out) {
    for (const auto& [to, order] : of<Stream>(out)) orders += order.sources.empty() && to == "b";
  };
  for (int i = 0; i < 100; ++i) {
    Join join = fresh(false);
    join.epoch = 1;
    join.head = "made up " + std::to_string(i);
    count(says("liar", join));
    count(pass(milliseconds(5)));
    if (i % 10 == 0) count(says("liar", Ended{Outcome::left}));
  }
  EXPECT_EQ(orders, 1U) << "each has one word";
  says("late", fresh(false));
  const auto streams = of<Stream>(pass(milliseconds(5)));
  ASSERT_FALSE(streams.empty());
  EXPECT_EQ(streams.back().second.former, (std::vector<NodeId>{"first", "made up 0"}));
}

TEST_F(CoordinatorTest, ADeniedFetcherIsReplacedAndNotAskedAgain) {
  says("a", fresh());
  says("b", fresh());
  auto out = says("a", Ended{Outcome::denied});
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].first, "b");
  says("b", Ended{Outcome::denied});
  EXPECT_TRUE(of<Fetch>(pass(std::chrono::seconds(20))).empty());
}

TEST_F(CoordinatorTest, AnOriginThatLimitsTwoIsSparedByAllForItsTime) {
  for (const auto* node : {"a", "b", "c"}) says(node, fresh());
  const Ended limited{Outcome::limited, 2000};
  auto out = says("a", limited);
  ASSERT_EQ(of<Fetch>(out).size(), 1U) << "another's account may have more left";
  EXPECT_EQ(of<Fetch>(out)[0].first, "b");
  out = says("b", limited);
  EXPECT_TRUE(of<Fetch>(out).empty());
  ASSERT_EQ(of<Wait>(out).size(), 3U);
  EXPECT_EQ(of<Wait>(out)[2].second.limited_ms, 2000U);
  for (const auto* node : {"a", "b", "c"}) says(node, Ended{Outcome::left});
  pass(milliseconds(500));
  out = says("a", fresh());
  EXPECT_TRUE(of<Fetch>(out).empty()) << "it is remembered when all have left";
  ASSERT_EQ(of<Wait>(out).size(), 1U);
  EXPECT_EQ(of<Wait>(out)[0].second.limited_ms, 1500U);
  EXPECT_EQ(of<Fetch>(pass(milliseconds(1600))).size(), 1U);
}

TEST_F(CoordinatorTest, ANodeThatIsLimitedAgainAndAgainIsOne) {
  const Ended limited{Outcome::limited, 2000};
  says("a", fresh());
  says("a", limited);
  says("a", Ended{Outcome::left});
  says("b", fresh());
  says("b", Ended{Outcome::left});
  says("a", fresh());
  says("c", fresh(false));
  EXPECT_TRUE(of<Wait>(says("a", limited)).empty());
}

TEST_F(CoordinatorTest, NobodyFetchesTheRestOfWhatItsHeadFindsWrong) {
  says("head", fresh());
  says("b", fresh());
  pass(milliseconds(5));
  says("b", Progress{.have = {3, 3}});
  EXPECT_TRUE(of<Fetch>(says("head", Ended{Outcome::corrupt})).empty());
  EXPECT_TRUE(of<Fetch>(says("late", fresh())).empty());
  says("b", Ended{Outcome::corrupt});
  const auto out = pass(milliseconds(1100));
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].first, "late");
}

TEST_F(CoordinatorTest, ALimitIsNoLongerThanItsOwnPauses) {
  says("a", fresh());
  says("b", fresh());
  says("a", Ended{Outcome::limited, kMaxLimitedMs});
  const auto out = says("b", Ended{Outcome::limited, kMaxLimitedMs});
  ASSERT_EQ(of<Wait>(out).size(), 2U);
  EXPECT_EQ(of<Wait>(out)[0].second.limited_ms, 8000U);
}

TEST_F(CoordinatorTest, AMemberThatMayFetchAgainSaysSoByJoiningAnew) {
  says("head", fresh());
  says("b", fresh());
  pass(milliseconds(5));
  says("b", Progress{.have = {2, 2}, .client_gone = true});
  says("b", Join{.size = 1 << 20,
                 .may_fetch = true,
                 .epoch = 1,
                 .have = {2, 2},
                 .parents = {"head", "head"}});
  const auto out = coordinator->lost("head", now);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_EQ(of<Fetch>(out)[0].first, "b");
}

TEST_F(CoordinatorTest, AnOriginThatFailsIsAskedAgainAfterGrowingPauses) {
  says("a", fresh());
  TimePoint last = now;
  Duration pause{0};
  for (int i = 0; i < 6; ++i) {
    auto out = says("a", Ended{Outcome::origin_failed});
    for (int ms = 0; ms < 20'000 && of<Fetch>(out).empty(); ++ms) {
      out = pass(milliseconds(1));
      const Outgoing more = says("a", Progress{});
      out.insert(out.end(), more.begin(), more.end());
    }
    ASSERT_EQ(of<Fetch>(out).size(), 1U);
    EXPECT_GE(now - last, pause) << i;
    pause = now - last;
    last = now;
  }
  EXPECT_GT(pause, milliseconds(1000));
}

TEST_F(CoordinatorTest, OneReportMovesItsSenderOnlyTwoThrowTheParentOut) {
  says("head", fresh());
  for (const char* node : {"a", "b", "c", "d", "e", "f"}) says(node, fresh());
  pass(milliseconds(300));  // as briefly silent as a loaded machine may be
  const HerdState* state = coordinator->find(herd);
  const Place* parent = nullptr;
  for (const auto& [id, place] : state->shape().places()) {
    if (!place->head && place->used() == 2) parent = place.get();
  }
  ASSERT_NE(parent, nullptr);
  const NodeId name = parent->id;
  const Stripe stripe = parent->children[0].empty() ? 1 : 0;
  ASSERT_EQ(parent->children[stripe].size(), 2U);
  const NodeId one = parent->children[stripe][0]->id;
  const NodeId two = parent->children[stripe][1]->id;
  auto out = says(one, Lost{.stripe = stripe, .parent = name, .why = LostWhy::silent});
  EXPECT_NE(state->shape().find(name), nullptr);
  EXPECT_FALSE(of<Stream>(out).empty());
  says(two, Lost{.stripe = stripe, .parent = name, .why = LostWhy::silent});
  EXPECT_EQ(state->shape().find(name), nullptr);
}

TEST_F(CoordinatorTest, AFinishedOneThatRefusesBecauseItIsFullStaysOneThatHasRoomGoes) {
  says("head", fresh());
  for (const char* node : {"a", "b", "c"}) {
    auto join = fresh();
    join.units = 0;  // so that all six streams are the head's
    says(node, join);
  }
  pass(milliseconds(5));
  says("head", Ended{Outcome::whole});
  const HerdState* state = coordinator->find(herd);
  const auto refused = [&](const NodeId& node, Stripe stripe) {
    EXPECT_EQ(state->shape().find(node)->parents[stripe], state->shape().find("head"));
    return says(node, Lost{.stripe = stripe, .parent = "head", .why = LostWhy::refused});
  };
  for (const auto& [node, stripe] : {std::pair("a", 0), {"b", 0}, {"c", 0}, {"a", 1}}) {
    EXPECT_TRUE(of<Fetch>(refused(node, static_cast<Stripe>(stripe))).empty()) << node;
    ASSERT_NE(state->shape().find("head"), nullptr) << "it was given more than its two";
  }
  EXPECT_TRUE(of<Fetch>(refused("b", 1)).empty());
  EXPECT_EQ(of<Fetch>(refused("c", 1)).size(), 1U) << "nobody has it any more";
  EXPECT_EQ(state->shape().find("head"), nullptr);
}

TEST_F(CoordinatorTest, ASlowHeadIsReplacedTwiceAtMost) {
  for (const char* node : {"a", "b", "c", "d"}) {
    says(node, Join{.size = 1 << 30, .may_fetch = true});
  }
  pass(milliseconds(5));
  std::map<NodeId, std::uint64_t> have;
  Outgoing out;
  const auto report = [&](std::uint64_t pieces_a_second, int seconds) {
    out.clear();
    for (int i = 0; i < 10 * seconds; ++i) {
      const auto more = pass(milliseconds(100));
      out.insert(out.end(), more.begin(), more.end());
      const NodeId head = coordinator->find(herd)->head();
      if (i % 10 == 9) have[head] += pieces_a_second / 2;
      for (const char* node : {"a", "b", "c", "d"}) {
        says(node, Progress{.have = {have[node], have[node]}});
      }
    }
  };
  report(6, 8);
  EXPECT_TRUE(of<Fetch>(out).empty()) << "384 KiB/s is enough";
  report(2, 5);
  ASSERT_EQ(of<Fetch>(out).size(), 1U);
  EXPECT_NE(of<Fetch>(out)[0].first, "a");
  bool stopped = false;
  for (const auto& [to, stream] : of<Stream>(out)) stopped = stopped || to == "a";
  EXPECT_TRUE(stopped) << "the former one streams";
  report(2, 30);
  EXPECT_EQ(of<Fetch>(out).size(), 1U) << "then all are as slow";
}

TEST_F(CoordinatorTest, TheNearerOfTwoCoordinatorsGoesOn) {
  make(ranked[1]);
  Join join = fresh();
  join.avoid = {ranked[0]};
  says("a", join);
  EXPECT_TRUE(of<Redirect>(says(ranked[2], Probe{.epoch = 1, .head = "x"})).empty());
  const auto out = says(ranked[0], Probe{.epoch = 1, .head = "x"});
  ASSERT_EQ(of<Redirect>(out).size(), 1U);
  EXPECT_EQ(of<Redirect>(out)[0].second.to, ranked[0]);
  EXPECT_EQ(coordinator->herds(), 0U);
}

TEST_F(CoordinatorTest, ANearerNodeTakesOverWhatAFartherOneHasBegun) {
  says(ranked[1], Probe{.epoch = 1, .head = "x"});
  const auto out = says("a", fresh());
  EXPECT_TRUE(of<Redirect>(out).empty());
  EXPECT_TRUE(of<Fetch>(out).empty()) << "who fetches there may come";
  const auto probes = of<Probe>(out);
  const auto told = [&](const auto& probe) { return probe.first == ranked[1]; };
  EXPECT_TRUE(std::any_of(probes.begin(), probes.end(), told)) << "so that it hands over";
  Join fetcher = fresh();
  fetcher.epoch = 1;
  fetcher.fetching = true;
  EXPECT_EQ(of<Fetch>(says("x", fetcher)).size(), 1U);
}

TEST_F(CoordinatorTest, AHerdThatIsMadeUpCostsAMomentOnly) {
  says(ranked[5], Probe{.epoch = 1, .head = "x"});
  EXPECT_TRUE(of<Redirect>(says("a", fresh())).empty());
  EXPECT_EQ(of<Fetch>(pass(milliseconds(120))).size(), 1U);
}

TEST_F(CoordinatorTest, OneThatIsNearerIsBelievedUntilItGivesAMemberNothing) {
  make(ranked[1]);
  std::erase(mesh.nodes, ranked[0]);
  mesh.known_holders = {"h"};  // so that no herd begins here
  says(ranked[0], Probe{.epoch = 1, .head = "x"});
  const auto out = says("a", fresh());
  ASSERT_EQ(of<Redirect>(out).size(), 1U);
  EXPECT_EQ(of<Redirect>(out)[0].second.to, ranked[0]);
  Join failed = fresh();
  failed.avoid = {ranked[0]};
  EXPECT_TRUE(of<Redirect>(says("a", failed)).empty());
  EXPECT_TRUE(of<Redirect>(says("b", fresh())).empty()) << "nobody else is sent there";
}

TEST_F(CoordinatorTest, SmallBlobsHaveOneFetcherAndHoldersThatGrow) {
  make(ranked[0], {.per_holder = 2});
  Join join{.whole = true, .may_fetch = true};
  EXPECT_EQ(of<Fetch>(says("a", join)).size(), 1U);
  for (const char* node : {"b", "c", "d", "e"}) {
    EXPECT_EQ(of<Wait>(says(node, join)).size(), 1U);
  }
  EXPECT_EQ(of<Holder>(says("a", Ended{Outcome::whole})).size(), 2U);
  EXPECT_EQ(of<Holder>(says("b", Ended{Outcome::whole})).size(), 2U);
}

TEST_F(CoordinatorTest, MembersAndHerdsAreBounded) {
  make(ranked[0], {.most_herds = 1, .most_members = 2});
  says("a", fresh());
  says("b", fresh());
  EXPECT_TRUE(says("c", fresh()).empty());
  const Message other{sample_herd('b'), Join{.insist = true}};
  EXPECT_TRUE(coordinator->receive("a", other, now).empty());
  EXPECT_EQ(coordinator->herds(), 1U);
}

TEST_F(CoordinatorTest, NobodyFillsAHerdWithParentsThatDoNotExist) {
  says("a", fresh());
  const HerdState* state = coordinator->find(herd);
  const auto invent = [](const NodeId& name) {
    Join join = fresh();
    join.epoch = 1;
    join.parents = {name + " 0", name + " 1"};
    return join;
  };
  for (int i = 0; i < 1000; ++i) {
    const NodeId name = "made up " + std::to_string(i);
    says("liar", invent(name));
    if (i % 3 == 1) says("liar", Lost{.stripe = 0, .parent = name + " 0"});
    if (i % 3 == 2) says("liar", Ended{Outcome::left});
    EXPECT_LE(state->members(), 6U);
  }
  pass(milliseconds(60));
  EXPECT_LE(state->members(), 4U);
  make(ranked[0], {.most_ghosts = 10});
  for (int i = 0; i < 100; ++i) {
    const NodeId name = "node " + std::to_string(i);
    says(name, invent(name));
  }
  EXPECT_EQ(coordinator->find(herd)->shape().ghosts(), 10U);
}

/// 20,000 that re-join and then die at once: seconds, if each of them meant a look at all others.
TEST_F(CoordinatorTest, MassesThatComeAndGoTakeNoTimeEach) {
  says("head", fresh());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 19'000; ++i) {
    Join join = fresh();
    join.epoch = 1;
    join.have = {1, 1};
    const NodeId parent = i == 0 ? "head" : "node " + std::to_string((i - 1) / 4);
    join.parents = {parent, parent};
    says("node " + std::to_string(i), join);
  }
  EXPECT_EQ(coordinator->find(herd)->members(), 19'001U);
  now += std::chrono::seconds(25);
  coordinator->tick(now);
  EXPECT_EQ(coordinator->herds(), 0U);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took, std::chrono::seconds(2)) << "a tenth of a second, without checks of the memory";
}

TEST_F(CoordinatorTest, TheSilentAreThrownOutAndAnEmptyHerdIsForgotten) {
  says("a", fresh());
  says("b", fresh());
  pass(std::chrono::seconds(3));
  EXPECT_EQ(coordinator->herds(), 0U);
}

TEST_F(CoordinatorTest, AFinishedHerdIsForgottenAfterAWhile) {
  says("a", fresh());
  says("a", Ended{Outcome::whole});
  pass(std::chrono::seconds(10));
  EXPECT_EQ(coordinator->herds(), 1U);
  says("late", fresh());
  EXPECT_EQ(of<Stream>(pass(milliseconds(5))).size(), 1U) << "from the one that has it";
  says("late", Ended{Outcome::whole});
  pass(std::chrono::seconds(31));
  EXPECT_EQ(coordinator->herds(), 0U);
  EXPECT_EQ(coordinator->next_tick(), TimePoint::max());
}

TEST_F(CoordinatorTest, WordsOfNonMembersDoNoHarm) {
  EXPECT_EQ(of<Redirect>(says("x", Progress{})).size(), 1U);
  EXPECT_TRUE(says("x", Ended{Outcome::whole}).empty());
  says("a", fresh());
  EXPECT_EQ(of<Redirect>(says("x", Lost{.parent = "a"})).size(), 1U);
  EXPECT_EQ(of<Redirect>(says("x", Progress{})).size(), 1U);
}

}  // namespace
}  // namespace hagring::herd
