// SPDX-License-Identifier: Apache-2.0
// The router between threads: nodes live on a control thread, whoever searches on another.
#include "userspace/agent/dht_router.hpp"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kKey = "docker.io/library/nginx:1.27";
constexpr std::uint16_t kPeerPort = 5000;

struct DhtRouterTest : testing::Test {
  DhtRouterTest() {
    on_control([this] {
      provider = start(first, {});
      finder = start(second, {dht::Multiaddr::of(provider->endpoint())});
      router =
          std::make_unique<DhtRouter>(control.get_executor(), *finder, [] { return kPeerPort; });
    });
  }

  ~DhtRouterTest() override {
    asio::co_spawn(control, stop(), asio::use_future).get();
    work.reset();
    thread.join();
  }

  std::unique_ptr<dht::Node> start(const dht::Identity& identity,
                                   std::vector<dht::Multiaddr> knows) {
    dht::NodeOptions options;
    options.host.listen = {asio::ip::make_address("127.0.0.1"), 0};
    options.host.may_dial = [](const asio::ip::address&) { return true; };
    options.bootstrap.peers = std::move(knows);
    auto node = std::make_unique<dht::Node>(control.get_executor(), clock, identity, dialer,
                                            resolver, std::move(options));
    node->start();
    return node;
  }

  awaitable<void> stop() {
    co_await router->stop();
    co_await finder->stop();
    co_await provider->stop();
  }

  void on_control(std::function<void()> task) {
    std::promise<void> done;
    asio::post(control, [&] {
      task();
      done.set_value();
    });
    done.get_future().get();
  }

  /// All that one search finds.
  std::vector<registry::Peer> search() {
    std::vector<registry::Peer> found;
    const auto search = router->find(kKey);
    while (auto peer = test::run(data, search->next())) found.push_back(*peer);
    return found;
  }

  /// Searches until somebody, or nobody, is found.
  std::vector<registry::Peer> search_until(bool somebody) {
    const auto end = clock.now() + 10s;
    auto found = search();
    while (found.empty() == somebody && clock.now() < end) found = search();
    return found;
  }

  asio::io_context control{1};
  asio::io_context data{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{control.get_executor()};
  std::thread thread{[this] { control.run(); }};
  SystemClock clock;
  SystemResolver resolver;
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  const dht::Identity first = dht::Identity::generate();
  const dht::Identity second = dht::Identity::generate();
  std::unique_ptr<dht::Node> provider, finder;
  std::unique_ptr<DhtRouter> router;
};

TEST_F(DhtRouterTest, FindsAProviderWithItsIdentityAtThePeerPort) {
  on_control([this] { provider->provide({kKey}); });
  const auto found = search_until(true);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].name, "127.0.0.1:5000");
  EXPECT_EQ(found[0].address.port(), kPeerPort);
  EXPECT_EQ(found[0].identity, first.peer_id().to_string());
}

TEST_F(DhtRouterTest, NobodyIsAnEnd) { EXPECT_TRUE(search().empty()); }

TEST_F(DhtRouterTest, AnnouncesAndWithdrawsForItsNode) {
  ASSERT_TRUE(test::run(data, router->announce({kKey})));
  bool provides = false;
  on_control([&] { provides = finder->provides(kKey); });
  EXPECT_TRUE(provides);
  ASSERT_TRUE(test::run(data, router->withdraw({kKey})));
  on_control([&] { provides = finder->provides(kKey); });
  EXPECT_FALSE(provides);
}

TEST_F(DhtRouterTest, SearchesMayBeDroppedAtAnyMoment) {
  on_control([this] { provider->provide({kKey}); });
  for (int i = 0; i < 500; ++i) {
    const auto search = router->find(kKey);
    if (i % 3 == 0) (void)test::run(data, search->next());
  }
  EXPECT_EQ(search_until(true).size(), 1U);
}

TEST_F(DhtRouterTest, AWaitForAPeerEndsWhenItsCallerIsToldToStop) {
  TaskGroup waiting(data.get_executor(), "waiting");
  const auto search = router->find(kKey);
  waiting.spawn([&]() -> awaitable<void> {
    while (co_await search->next()) continue;
  });
  data.poll();
  waiting.cancel();
  test::run(data, waiting.drain());
}

TEST_F(DhtRouterTest, OnceStoppedItFindsNobody) {
  on_control([this] { provider->provide({kKey}); });
  ASSERT_EQ(search_until(true).size(), 1U);
  asio::co_spawn(control, router->stop(), asio::use_future).get();
  EXPECT_TRUE(search().empty());
}

}  // namespace
}  // namespace hagring::agent
