// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/layer_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/containerd/lease_text.hpp"
#include "tests/containerd/fake_leases.hpp"
#include "tests/containerd/tiny_image.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;
using hagring::test::ManualClock;
using testing::HasSubstr;

constexpr std::uint64_t kBudget = 1000;

struct LayerKeeperTest : testing::Test {
  ~LayerKeeperTest() override { stop(); }

  /// A keeper that has looked at containerd once.
  void start() {
    keeper = std::make_unique<LayerKeeper>(clock, options, host);
    tasks.spawn([this] { return keeper->run(); });
    settle();
  }

  void stop() {
    tasks.cancel();
    hagring::test::run(context, tasks.drain());
    keeper.reset();
  }

  /// Runs what can run until all has come to rest.
  void settle() {
    context.restart();
    context.poll();
  }

  void pass(Duration time) {
    clock.advance(time);
    settle();
  }

  /// A manifest, named `name`, with layers of these names and sizes, is served.
  Result<void> serve(const std::string& name,
                     const std::vector<std::pair<std::string, std::uint64_t>>& layers) {
    ImageLayers image{.manifest = manifest(name), .image = name, .layers = {}};
    for (const auto& [layer, size] : layers) {
      image.layers.push_back({test::digest_of(layer), size, "layer"});
      host.sizes[test::digest_of(layer)] = size;
    }
    return hagring::test::run(context, keeper->keep(image));
  }

  /// The runtime has the image, its pull having ended.
  void pulled(const std::string& name) {
    host.images.insert(manifest(name));
    ++host.revision;
  }

  static registry::Digest manifest(const std::string& name) { return test::digest_of(name); }

  /// Names of the images for which containerd has leases.
  std::vector<std::string> kept() const {
    std::vector<std::string> names;
    for (const auto& [id, entry] : host.store->entries) {
      names.push_back(entry.lease.labels.at("hagring.io/image"));
    }
    std::ranges::sort(names);
    return names;
  }

  std::uint64_t released(Release reason) const {
    return keeper->state().released[static_cast<std::size_t>(reason)];
  }

  using Names = std::vector<std::string>;

  asio::io_context context;
  ManualClock clock;
  LayerKeeperOptions options{.budget = kBudget, .age = 24h, .owner = "test"};
  FakeHost host;
  TaskGroup tasks{context.get_executor(), "test"};
  std::unique_ptr<LayerKeeper> keeper;
};

TEST_F(LayerKeeperTest, ALeaseNamesTheLayersAndSaysWhatItIs) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}, {"two", 200}}));
  ASSERT_EQ(host.store->entries.size(), 1U);
  const auto& [id, entry] = *host.store->entries.begin();
  EXPECT_THAT(id, testing::StartsWith("hagring-test-sha256-"));
  EXPECT_EQ(entry.blobs, (std::vector{test::digest_of("one"), test::digest_of("two")}));
  EXPECT_EQ(entry.lease.labels.at("hagring.io/manifest"), manifest("app").to_string());
  EXPECT_EQ(entry.lease.labels.at("hagring.io/bytes"), "300");
  // Longer than the age, by what a later serving may go unwritten.
  EXPECT_EQ(expiry_of(entry.lease), clock.wall() + 27h);
  EXPECT_EQ(keeper->state().bytes, 300U);
  EXPECT_EQ(keeper->state().pulling, 1U);
}

TEST_F(LayerKeeperTest, NothingIsKeptWhereTheRuntimeKeepsLayersOrIsNotKnownTo) {
  for (const auto discards : {Discards::no, Discards::unknown}) {
    host.finding.discards = discards;
    start();
    EXPECT_FALSE(keeper->keeping());
    EXPECT_EQ(serve("app", {{"one", 100}}).error(), Errc::unavailable);
    EXPECT_EQ(kept(), Names{});
    stop();
  }
}

TEST_F(LayerKeeperTest, AlwaysAndNeverDontAskTheRuntime) {
  host.finding.discards = Discards::unknown;
  options.mode = KeepLayers::always;
  start();
  EXPECT_TRUE(serve("app", {{"one", 100}}));
  EXPECT_EQ(kept(), Names{"app"});
  stop();
  host.finding.discards = Discards::yes;
  options.mode = KeepLayers::never;
  start();
  EXPECT_FALSE(keeper->keeping());
  EXPECT_EQ(kept(), Names{}) << "what was kept before goes";
  EXPECT_EQ(released(Release::not_wanted), 1U);
}

TEST_F(LayerKeeperTest, LeasesStayWhileItIsNotKnownWhetherLayersAreDiscarded) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  stop();
  host.finding.discards = Discards::unknown;
  start();
  EXPECT_EQ(kept(), Names{"app"});
  host.finding.discards = Discards::no;
  host.connected = std::shared_ptr<LeasesApi>(std::make_shared<int>(), host.store.get());
  pass(1s);
  EXPECT_EQ(kept(), Names{});
}

TEST_F(LayerKeeperTest, RuntimeIsAskedSoonAfterItHasBeenFound) {
  const auto found = std::exchange(host.connected, nullptr);
  start();
  EXPECT_FALSE(keeper->keeping());
  host.connected = found;
  pass(100ms);
  EXPECT_TRUE(keeper->keeping());
}

TEST_F(LayerKeeperTest, TheOldestGoFirstBeyondTheBudget) {
  start();
  for (const auto* name : {"first", "second", "third"}) {
    ASSERT_TRUE(serve(name, {{name, 400}}));
    pulled(name);
    pass(1s);
  }
  EXPECT_EQ(kept(), (Names{"second", "third"}));
  EXPECT_EQ(released(Release::over_budget), 1U);
  EXPECT_EQ(keeper->state().last_released, "first, 400 bytes: over the budget");
  EXPECT_EQ(keeper->state().bytes, 800U);
  EXPECT_EQ(host.collections, 1);
}

TEST_F(LayerKeeperTest, SharedLayersCountOnce) {
  start();
  ASSERT_TRUE(serve("first", {{"base", 800}, {"first", 50}}));
  pass(1s);
  ASSERT_TRUE(serve("second", {{"base", 800}, {"second", 60}}));
  pass(1s);
  EXPECT_EQ(keeper->state().bytes, 910U);
  EXPECT_EQ(kept(), (Names{"first", "second"}));
  ASSERT_TRUE(serve("third", {{"third", 100}}));
  pass(1s);
  EXPECT_EQ(kept(), (Names{"second", "third"}));
  EXPECT_EQ(keeper->state().bytes, 960U);
}

TEST_F(LayerKeeperTest, LayersThatWereNotFetchedTakeNothing) {
  start();
  ASSERT_TRUE(serve("app", {{"unpacked before", 500}, {"one", 100}}));
  EXPECT_EQ(keeper->state().bytes, 600U);
  host.sizes.erase(test::digest_of("unpacked before"));
  pulled("app");
  pass(1s);
  EXPECT_EQ(keeper->state().bytes, 100U);
}

TEST_F(LayerKeeperTest, WhatIsLargerThanTheBudgetIsNotKeptAndPushesNothingOut) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  ASSERT_TRUE(serve("large", {{"two", 600}, {"three", 600}}));
  pass(1s);
  EXPECT_EQ(kept(), Names{"app"});
  EXPECT_THAT(keeper->state().refused, HasSubstr("large: its layers have more bytes"));
}

TEST_F(LayerKeeperTest, WhatWasPulledAgainIsYoung) {
  start();
  ASSERT_TRUE(serve("again", {{"again", 400}}));
  pass(1s);
  ASSERT_TRUE(serve("other", {{"other", 400}}));
  pulled("again");
  pulled("other");
  pass(4h);  // more than what may go unwritten
  const auto before = host.store->entries;
  ASSERT_TRUE(serve("again", {{"again", 400}}));
  EXPECT_EQ(host.store->entries.size(), 2U) << "the new lease takes the old one's place";
  EXPECT_FALSE(std::ranges::equal(host.store->entries, before, {},
                                  &FakeLeases::Entries::value_type::first,
                                  &FakeLeases::Entries::value_type::first));
  ASSERT_TRUE(serve("third", {{"third", 400}}));
  pass(1s);
  EXPECT_EQ(kept(), (Names{"again", "third"}));
}

TEST_F(LayerKeeperTest, AgeEndsIt) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  pulled("app");
  pass(24h);
  EXPECT_EQ(kept(), Names{"app"});
  pass(1s);
  EXPECT_EQ(kept(), Names{});
  EXPECT_EQ(released(Release::too_old), 1U);
}

TEST_F(LayerKeeperTest, ADeletedImagesLayersGo) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  pulled("app");
  pass(1s);
  EXPECT_EQ(keeper->state().pulling, 0U);
  host.images.clear();
  ++host.revision;
  pass(1s);
  EXPECT_EQ(kept(), Names{});
  EXPECT_EQ(released(Release::image_gone), 1U);
}

TEST_F(LayerKeeperTest, APullHasItsTimeToEnd) {
  start();
  ASSERT_TRUE(serve("slow", {{"one", 100}}));
  pass(59min);
  EXPECT_EQ(kept(), Names{"slow"});
  pass(2min);
  EXPECT_EQ(kept(), Names{}) << "it has failed, or was of another namespace";
}

TEST_F(LayerKeeperTest, TheDisksLimitEndsAsManyAsItTakes) {
  start();
  for (const auto* name : {"first", "second", "third"}) {
    ASSERT_TRUE(serve(name, {{name, 100}}));
    pass(1s);
  }
  host.store->collected = [&](const auto& entry) {
    for (const auto& blob : entry.blobs) host.usage.available += host.sizes.at(blob);
  };
  host.usage.available = 50;
  pass(1s);
  EXPECT_EQ(kept(), Names{"third"});
  EXPECT_EQ(released(Release::disk_full), 2U);
  EXPECT_EQ(keeper->state().disk_percent, 75U);
  host.usage.available = 200;
  ASSERT_TRUE(serve("late", {{"late", 1}}));
  EXPECT_THAT(keeper->state().refused, HasSubstr("late: the image file system is 80 % full"));
  pass(1s);
  EXPECT_EQ(kept(), Names{});
}

TEST_F(LayerKeeperTest, LeasesOfAFormerLifeAreTakenOver) {
  start();
  ASSERT_TRUE(serve("app", {{"base", 100}, {"one", 100}}));
  ASSERT_TRUE(serve("other", {{"base", 100}, {"two", 50}}));
  stop();
  pulled("app");
  pulled("other");
  start();
  EXPECT_EQ(keeper->state().images, 2U);
  EXPECT_EQ(keeper->state().bytes, 250U);
  EXPECT_EQ(kept(), (Names{"app", "other"}));
}

TEST_F(LayerKeeperTest, OfTwoLeasesForOneManifestTheNewerStays) {
  // As a crash between making the second and deleting the first leaves them.
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  const auto first = *host.store->entries.begin();
  pass(4h);
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  const auto second = host.store->entries.begin()->first;
  stop();
  host.store->entries.insert(first);
  start();
  ASSERT_EQ(host.store->entries.size(), 1U);
  EXPECT_EQ(host.store->entries.begin()->first, second);
}

TEST_F(LayerKeeperTest, LeasesOfOthersAndNonsenseOfOursAreTold) {
  host.store->entries["hagring-other-sha256-1"] = {.lease = {.id = "hagring-other-sha256-1"}};
  host.store->entries["k8s.io/1-pull"] = {.lease = {.id = "k8s.io/1-pull"}};
  host.store->entries["hagring-test-x"] = {.lease = {.id = "hagring-test-x"}};
  start();
  EXPECT_EQ(host.store->entries.size(), 2U);
  EXPECT_FALSE(host.store->entries.contains("hagring-test-x"));
}

TEST_F(LayerKeeperTest, WhatSomebodyDeletedIsForgotten) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  host.store->entries.clear();
  pass(1min);
  EXPECT_EQ(keeper->state().images, 0U);
  EXPECT_TRUE(serve("app", {{"one", 100}}));
  EXPECT_EQ(kept(), Names{"app"});
}

TEST_F(LayerKeeperTest, AFailedCallLeavesNoHalfALease) {
  start();
  host.store->failing = 2;  // creating it, and removing it
  EXPECT_FALSE(serve("app", {{"one", 100}}));
  EXPECT_EQ(keeper->state().images, 0U);
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  EXPECT_EQ(kept(), Names{"app"});
}

TEST_F(LayerKeeperTest, ALeaseThatCouldNotBeRemovedIsRemovedLater) {
  start();
  ASSERT_TRUE(serve("app", {{"one", 100}}));
  pulled("app");
  pass(1s);
  host.images.clear();
  ++host.revision;
  host.store->failing = 1;
  pass(1s);
  EXPECT_EQ(kept(), Names{"app"});
  EXPECT_THAT(keeper->state().problem, HasSubstr("Unavailable"));
  pass(5s);
  EXPECT_EQ(keeper->state().problem, "");
  EXPECT_EQ(keeper->state().images, 1U) << "it is known again";
  pass(24h + 1s);
  EXPECT_EQ(kept(), Names{});
}

TEST_F(LayerKeeperTest, TheRuntimeIsAskedAnewWhenItWasRestarted) {
  start();
  EXPECT_EQ(host.asked, 1);
  pass(1s);
  EXPECT_EQ(host.asked, 1);
  host.connected = nullptr;
  pass(1s);
  EXPECT_EQ(serve("app", {{"one", 1}}).error(), Errc::unavailable);
  host.connected = std::shared_ptr<LeasesApi>(std::make_shared<int>(), host.store.get());
  pass(1s);
  EXPECT_EQ(host.asked, 2);
  EXPECT_TRUE(serve("app", {{"one", 1}}));
}

}  // namespace
}  // namespace hagring::containerd
