// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/listener.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <boost/asio/write.hpp>

#include "tests/proxy/accept_thread.hpp"
#include "tests/proxy/blocking_socket.hpp"
#include "userspace/base/data_threads.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using test::BlockingSocket;
using test::eventually;
using tcp = asio::ip::tcp;

/// Answers each byte with itself.
awaitable<void> echo(tcp::socket socket, std::size_t) {
  std::array<char, 64> buffer;
  while (true) {
    auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer), kTuple);
    if (error) co_return;
    co_await asio::async_write(socket, asio::buffer(buffer, size), kTuple);
  }
}

struct ListenerTest : testing::Test {
  void start(Listener::Options options = {}, Listener::Serve serve = echo) {
    listener = std::make_unique<Listener>(accept.executor(), data_executors(data), options,
                                          std::move(serve));
    accept.call([this] { listener->start(); });
  }
  void TearDown() override {
    if (listener && listener->fd_v4() >= 0) accept.run(listener->drain());
  }
  static std::vector<asio::any_io_executor> data_executors(DataThreads& threads) {
    std::vector<asio::any_io_executor> executors;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      executors.emplace_back(threads.at(i).get_executor());
    }
    return executors;
  }
  BlockingSocket connect() { return BlockingSocket::connect(listener->endpoint_v4()); }

  test::AcceptThread accept;
  DataThreads data{2, "data"};
  std::unique_ptr<Listener> listener;
};

TEST_F(ListenerTest, AcceptsOnBothFamiliesOfLoopback) {
  start();
  ASSERT_NE(listener->endpoint_v6().port(), 0) << "this machine has no ::1";
  EXPECT_GE(listener->fd_v4(), 0);
  EXPECT_GE(listener->fd_v6(), 0);
  for (const auto& endpoint : {listener->endpoint_v4(), listener->endpoint_v6()}) {
    auto client = BlockingSocket::connect(endpoint);
    client.send("hello");
    EXPECT_EQ(client.receive(5), "hello");
  }
  EXPECT_EQ(listener->counters().accepted, 2U);
}

TEST_F(ListenerTest, ConnectionsTakeTheDataThreadsInTurn) {
  std::array<std::atomic<int>, 2> taken{};
  std::atomic<int> elsewhere = 0;
  start({}, [&](tcp::socket socket, std::size_t thread) -> awaitable<void> {
    ++taken.at(thread);
    elsewhere += !data.at(thread).get_executor().running_in_this_thread();
    co_await echo(std::move(socket), thread);
  });
  for (int i = 0; i < 6; ++i) {
    auto client = connect();
    client.send("x");
    EXPECT_EQ(client.receive(1), "x");
  }
  EXPECT_EQ(taken[0], 3);
  EXPECT_EQ(taken[1], 3);
  EXPECT_EQ(elsewhere, 0);
}

TEST_F(ListenerTest, RefusesANodePort) {
  EXPECT_THROW(start({.port_v4 = 30000}), StartError);
  EXPECT_THROW(start({.port_v6 = 32767}), StartError);
}

TEST_F(ListenerTest, PortInUseIsAStartError) {
  start();
  EXPECT_THROW(Listener(accept.executor(), data_executors(data),
                        {.port_v4 = listener->endpoint_v4().port()}, echo),
               StartError);
}

TEST_F(ListenerTest, KnowsItsOwnAddressesInEveryForm) {
  start();
  const auto port = listener->endpoint_v4().port();
  for (const auto* address : {"127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "0.0.0.0", "::1"}) {
    EXPECT_TRUE(listener->is_own({asio::ip::make_address(address), port})) << address;
  }
  EXPECT_FALSE(listener->is_own({asio::ip::make_address("10.0.0.1"), port}));
  EXPECT_FALSE(listener->is_own({asio::ip::make_address("127.0.0.1"), 443}));
}

TEST_F(ListenerTest, BeyondTheLimitThereIsNoRoomAndBeyondTwiceAReset) {
  std::atomic<int> told_full{0};
  start({.max_connections = 1, .full = [&] { ++told_full; }});
  EXPECT_TRUE(listener->has_room());
  EXPECT_EQ(told_full, 0);
  auto first = connect();
  eventually([&] { return listener->connections() == 1 && told_full == 1; });
  EXPECT_FALSE(listener->has_room());
  auto second = connect();
  second.send("x");
  EXPECT_EQ(second.receive(1), "x");  // still served
  auto third = connect();
  EXPECT_EQ(third.wait_for_error(), ECONNRESET);
  EXPECT_EQ(listener->counters().turned_away, 1U);
  first.close();
  second.close();
  eventually([&] { return listener->has_room(); });
}

TEST_F(ListenerTest, OutOfDescriptorsItPausesAndRecovers) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer's own checks need descriptors";
#endif
  start({.pause = 50ms});
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  BlockingSocket client(::socket(AF_INET, SOCK_STREAM, 0));
  rlimit none{3, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const auto begun = std::chrono::steady_clock::now();
  const auto endpoint = listener->endpoint_v4();
  const int connected =
      ::connect(client.fd(), endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  eventually([&] { return listener->counters().accept_failed >= 3; });
  const auto elapsed = std::chrono::steady_clock::now() - begun;
  const bool had_room = listener->has_room();
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(connected, 0);
  EXPECT_GE(elapsed, 100ms);  // no busy loop
  EXPECT_FALSE(had_room);
  client.send("hello");
  EXPECT_EQ(client.receive(5), "hello");
  eventually([&] { return listener->has_room(); });
}

TEST_F(ListenerTest, DrainEndsConnections) {
  start();
  auto client = connect();
  client.send("x");
  EXPECT_EQ(client.receive(1), "x");
  accept.run(listener->drain());
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(listener->connections(), 0U);
  EXPECT_EQ(listener->fd_v4(), -1);
}

TEST_F(ListenerTest, DrainCancelsAgainWhatWentOnWaiting) {
  start({}, [](tcp::socket, std::size_t) -> awaitable<void> {
    SystemClock clock;
    co_await clock.sleep_for(1h);
    co_await clock.sleep_for(1h);
  });
  auto client = connect();
  eventually([&] { return listener->connections() == 1; });
  accept.run(listener->drain());
  EXPECT_EQ(client.receive_all(), "");
}

}  // namespace
}  // namespace hagring::proxy
