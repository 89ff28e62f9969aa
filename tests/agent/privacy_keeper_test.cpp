// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/privacy_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using registry::Digest;
using registry::Privacy;

struct PrivacyKeeperTest : testing::Test {
  PrivacyKeeperTest() { std::filesystem::create_directories(folder); }
  ~PrivacyKeeperTest() override { std::filesystem::remove_all(folder); }

  /// Runs `keeper` until `condition` holds; fails after 20 s.
  void run_until(PrivacyKeeper& keeper, const std::function<bool()>& condition) {
    TaskGroup tasks(context.get_executor(), "keeper");
    tasks.spawn([&] { return keeper.run(); });
    const auto end = clock.now() + 20s;
    context.restart();
    while (!condition() && clock.now() < end) context.run_one_for(10ms);
    EXPECT_TRUE(condition());
    tasks.cancel();
    test::run(context, tasks.drain());
  }

  asio::io_context context;
  SystemClock clock;
  std::filesystem::path folder =
      testing::TempDir() + "hagring_private_" + std::to_string(::getpid());
  std::filesystem::path path = folder / "private";
  const Digest digest = Digest::parse("sha256:" + std::string(64, 'a')).value();
  const Digest other = Digest::parse("sha256:" + std::string(64, 'b')).value();
};

TEST_F(PrivacyKeeperTest, AMarkIsOnTheDiskSoonAndOutlivesARestart) {
  Privacy privacy(clock);
  PrivacyKeeper keeper(privacy, clock, path, false);
  privacy.add(digest, "a.test/x");
  run_until(keeper, [&] { return std::filesystem::exists(path); });
  Privacy next(clock);
  PrivacyKeeper again(next, clock, path, false);
  EXPECT_TRUE(next.mark(digest));
}

TEST_F(PrivacyKeeperTest, TheEndWritesWhatIsLeft) {
  Privacy privacy(clock);
  PrivacyKeeper keeper(privacy, clock, path, false);
  privacy.add(digest, "a.test/x");
  keeper.finish();
  Privacy next(clock);
  PrivacyKeeper again(next, clock, path, false);
  EXPECT_TRUE(next.mark(digest));
}

TEST_F(PrivacyKeeperTest, ADamagedFileIsToldOfAndReplaced) {
  std::ofstream(path) << "hagring-private 1\nD nonsense\n";
  Privacy privacy(clock);
  testing::internal::CaptureStderr();
  PrivacyKeeper keeper(privacy, clock, path, false);
  const auto told = testing::internal::GetCapturedStderr();
  EXPECT_THAT(told, testing::HasSubstr(path.string()));
  EXPECT_THAT(told, testing::HasSubstr("authorize=strict"));
  privacy.add(digest, "a.test/x");
  keeper.finish();
  Privacy next(clock);
  PrivacyKeeper again(next, clock, path, false);
  EXPECT_TRUE(next.mark(digest));
}

TEST_F(PrivacyKeeperTest, WhatAPredecessorStillLearnsIsKept) {
  Privacy before(clock);
  PrivacyKeeper predecessor(before, clock, path, false);
  Privacy privacy(clock);
  PrivacyKeeper successor(privacy, clock, path, true);
  before.add(digest, "a.test/x");
  predecessor.finish();
  privacy.add(other, "a.test/y");
  run_until(successor, [&] { return privacy.mark(digest).has_value(); });
  successor.finish();
  Privacy next(clock);
  PrivacyKeeper again(next, clock, path, false);
  EXPECT_TRUE(next.mark(digest) && next.mark(other));
}

}  // namespace
}  // namespace hagring::agent
