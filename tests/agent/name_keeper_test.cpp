// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/name_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr pid_t kClient = 7;

/// The hook's side, which fails for `refused`.
class NameKeeperTest : public testing::Test {
 protected:
  NameKeeperTest() {
    tasks_.spawn([this] { return keeper_.run(); });
  }
  ~NameKeeperTest() override {
    tasks_.cancel();
    test::run(context_, tasks_.drain());
    test::run(context_, keeper_.drain());
    std::filesystem::remove_all(proc_);
  }

  void list(const std::string& text) const {
    const auto folder = proc_ + "/" + std::to_string(kClient) + "/root/etc";
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/resolv.conf") << text;
  }

  /// Lets the keeper look at the file again.
  void pass(Duration time) {
    clock_.advance(time);
    context_.restart();
    context_.poll();
  }

  NameKeeper::Hooks hooks() {
    return {.set_name_server = [this](const auto& server, int, int) -> Result<void> {
              ++attempts_;
              if (server.to_string() == refused_) return hagring::Errc::unavailable;
              led_.insert(server.to_string());
              return {};
            },
            .remove_name_server = [this](const auto& server) { led_.erase(server.to_string()); }};
  }

  asio::io_context context_{1};
  test::ManualClock clock_;
  dns::DoubtfulNames doubtful_{clock_};
  const std::string proc_ = testing::TempDir() + "name_keeper_test." + std::to_string(::getpid());
  std::string refused_;
  int attempts_ = 0;
  std::set<std::string> led_;
  NameKeeper keeper_{
      context_.get_executor(), clock_, hooks(), doubtful_, {.proc = proc_}, [](const std::string&) {
        return false;
      }};
  TaskGroup tasks_{context_.get_executor(), "test"};
};

TEST_F(NameKeeperTest, FollowsTheClientsFile) {
  list("nameserver 127.0.0.2\nnameserver 127.0.0.3\n");
  keeper_.follow(kClient);
  EXPECT_THAT(led_, UnorderedElementsAre("127.0.0.2", "127.0.0.3"));
  pass(1s);
  EXPECT_EQ(attempts_, 2) << "once each";
  list("nameserver 127.0.0.3\n");
  pass(1s);
  EXPECT_THAT(led_, ElementsAre("127.0.0.3"));
}

TEST_F(NameKeeperTest, TriesAgainWhatFailed) {
  refused_ = "127.0.0.2";
  list("nameserver 127.0.0.2\nnameserver 127.0.0.3\n");
  keeper_.follow(kClient);
  EXPECT_THAT(led_, ElementsAre("127.0.0.3"));
  for (int i = 0; i < 120; ++i) pass(1s);
  EXPECT_GT(attempts_, 4);
  EXPECT_LT(attempts_, 12) << "with growing pauses";
  refused_.clear();
  for (int i = 0; i < 60; ++i) pass(1s);
  EXPECT_THAT(led_, UnorderedElementsAre("127.0.0.2", "127.0.0.3"));
  const int attempts = attempts_;
  pass(60s);
  EXPECT_EQ(attempts_, attempts);
}

TEST_F(NameKeeperTest, ChangedFilesAreAppliedAtOnceAllTheSame) {
  refused_ = "127.0.0.2";
  list("nameserver 127.0.0.2\n");
  keeper_.follow(kClient);
  for (int i = 0; i < 40; ++i) pass(1s);
  EXPECT_THAT(led_, IsEmpty());
  list("nameserver 127.0.0.2\nnameserver 127.0.0.4\n");
  pass(1s);
  EXPECT_THAT(led_, ElementsAre("127.0.0.4"));
}

}  // namespace
}  // namespace hagring::agent
