// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/heartbeat.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/proxy/accept_thread.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using test::eventually;

struct HeartbeatTest : testing::Test {
  HeartbeatTest() {
    accept.call([this] { group.spawn([this] { return heartbeat.run(); }); });
  }
  ~HeartbeatTest() override {
    accept.call([this] { group.cancel(); });
    accept.run(group.drain());
  }
  void wait_for_beats() {
    eventually([this, before = beats.load()] { return beats > before + 2; });
  }
  /// Until there has been none for a hundred intervals.
  void wait_for_silence() {
    auto last = beats.load();
    auto since = std::chrono::steady_clock::now();
    eventually([&] {
      if (beats != last) {
        last = beats;
        since = std::chrono::steady_clock::now();
      }
      return std::chrono::steady_clock::now() - since > 500ms;
    });
  }

  std::atomic<int> beats = 0;
  std::atomic<int> signs = 0;  ///< of life
  std::atomic<bool> willing = true;
  DataThreads data{2, "data"};
  test::AcceptThread accept;
  TaskGroup group{accept.executor(), "test"};
  Heartbeat heartbeat{{data.at(0).get_executor(), data.at(1).get_executor()},
                      {.willing = [this] { return willing.load(); },
                       .beat = [this] { ++beats; },
                       .alive = [this] { ++signs; }},
                      {.interval = 5ms, .patience = 200ms}};
};

TEST_F(HeartbeatTest, BeginsWithTheLastThreadsAnswerNotAnIntervalLater) {
  std::promise<void> gate;
  asio::post(data.at(1), [open = gate.get_future().share()] { open.wait(); });
  std::atomic<int> first = 0;
  TaskGroup seldom_beating(accept.executor(), "test");
  Heartbeat seldom{{data.at(0).get_executor(), data.at(1).get_executor()},
                   {.willing = [] { return true; }, .beat = [&] { ++first; }},
                   {.interval = 1h, .patience = 1h}};
  accept.call([&] { seldom_beating.spawn([&] { return seldom.run(); }); });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(first, 0);
  gate.set_value();
  eventually([&] { return first == 1; });
  accept.call([&] { seldom_beating.cancel(); });
  accept.run(seldom_beating.drain());
}

TEST_F(HeartbeatTest, StopsWhileAThreadHangs) {
  wait_for_beats();
  std::promise<void> gate;
  asio::post(data.at(1), [open = gate.get_future().share()] { open.wait(); });
  wait_for_silence();
  const auto before = signs.load();
  std::this_thread::sleep_for(50ms);  // ten intervals
  EXPECT_EQ(signs, before);
  gate.set_value();
  wait_for_beats();
}

TEST_F(HeartbeatTest, StopsWhileConnectionsAreNotWelcome) {
  wait_for_beats();
  willing = false;
  wait_for_silence();
  // Who is asked to take no more is alive all the same.
  eventually([this, before = signs.load()] { return signs > before + 2; });
  willing = true;
  wait_for_beats();
}

}  // namespace
}  // namespace hagring::proxy
