// SPDX-License-Identifier: Apache-2.0
#include "registry/advertiser.hpp"

#include <gmock/gmock.h>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "tests/support/static_router.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class FakeRouter final : public ContentRouter {
 public:
  std::vector<std::vector<std::string>> announced, withdrawn;
  bool fails = false;

  std::unique_ptr<PeerSearch> find(std::string) override { return nullptr; }
  awaitable<Result<void>> announce(std::vector<std::string> keys) override {
    if (fails) co_return Errc::unavailable;
    announced.push_back(std::move(keys));
    co_return Result<void>();
  }
  awaitable<Result<void>> withdraw(std::vector<std::string> keys) override {
    withdrawn.push_back(std::move(keys));
    co_return Result<void>();
  }
};

struct AdvertiserTest : testing::Test {
  AdvertiserTest() {
    tasks.spawn([this] { return advertiser.run(); });
    rest();
  }
  ~AdvertiserTest() override {
    tasks.cancel();
    test::run(context, tasks.drain());
  }
  void rest() {
    context.restart();
    context.poll();
  }
  void pass(Duration time) {
    rest();
    clock.advance(time);
    rest();
  }

  asio::io_context context;
  test::ManualClock clock;
  FakeRouter router;
  Advertiser advertiser{context.get_executor(), clock, router, {.batch_keys = 2}};
  TaskGroup tasks{context.get_executor(), "advertiser"};
};

TEST_F(AdvertiserTest, GathersChangesAndSplitsThem) {
  advertiser.notify({.added = {"a", "b"}, .removed = {"x"}});
  advertiser.notify({.added = {"c"}, .removed = {}});
  rest();
  EXPECT_TRUE(router.announced.empty());
  pass(1s);
  EXPECT_THAT(router.announced, ElementsAre(ElementsAre("a", "b"), ElementsAre("c")));
  EXPECT_THAT(router.withdrawn, ElementsAre(ElementsAre("x")));
}

TEST_F(AdvertiserTest, WhatComesAndGoesIsOnlyWithdrawn) {
  advertiser.notify({.added = {"a"}, .removed = {}});
  advertiser.notify({.added = {}, .removed = {"a"}});
  pass(1s);
  EXPECT_TRUE(router.announced.empty());
  EXPECT_THAT(router.withdrawn, ElementsAre(ElementsAre("a")));
}

TEST_F(AdvertiserTest, TriesAgainAfterAFailure) {
  router.fails = true;
  advertiser.notify({.added = {"a"}, .removed = {}});
  pass(1s);
  router.fails = false;
  EXPECT_TRUE(router.announced.empty());
  pass(10s);
  pass(1s);
  EXPECT_THAT(router.announced, ElementsAre(ElementsAre("a")));
}

TEST(StaticRouter, OffersEveryPeerOnceFromAPlaceThatDependsOnTheKey) {
  std::vector<Peer> peers;
  for (std::uint16_t port = 5000; port < 5005; ++port) {
    peers.push_back(
        {"10.0.0.1:" + std::to_string(port), {asio::ip::make_address("10.0.0.1"), port}});
  }
  StaticRouter router(peers);
  asio::io_context context;
  std::map<std::string, int> firsts;
  for (int key = 0; key < 50; ++key) {
    auto search = router.find("key-" + std::to_string(key));
    std::vector<std::string> found;
    while (auto peer = test::run(context, search->next())) found.push_back(peer->name);
    ++firsts[found.front()];
    EXPECT_THAT(found,
                testing::UnorderedElementsAre("10.0.0.1:5000", "10.0.0.1:5001", "10.0.0.1:5002",
                                              "10.0.0.1:5003", "10.0.0.1:5004"));
  }
  EXPECT_EQ(firsts.size(), 5U);
}

TEST(StaticRouter, WithoutPeersFindsNobody) {
  StaticRouter router({});
  asio::io_context context;
  EXPECT_EQ(test::run(context, router.find("key")->next()).error(), Errc::end_of_stream);
}

}  // namespace
}  // namespace hagring::registry
