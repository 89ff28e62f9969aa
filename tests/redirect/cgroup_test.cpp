// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/cgroup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "userspace/redirect/error.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::redirect {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Cgroup, FindsTheMountOfAPureV2System) {
  EXPECT_THAT(
      cgroup2_mounts("21 98 0:20 / /proc rw - proc proc rw\n"
                     "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"),
      ElementsAre("/sys/fs/cgroup"));
}

TEST(Cgroup, FindsTheMountsOfAHybridSystem) {
  EXPECT_THAT(
      cgroup2_mounts("31 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
                     "32 31 0:27 / /sys/fs/cgroup/unified rw shared:5 master:1 - cgroup2 c rw\n"
                     "33 31 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                     "34 31 0:27 /../.. /host/my\\040cgroup rw - cgroup2 c rw"),
      ElementsAre("/sys/fs/cgroup/unified", "/host/my cgroup"));
}

TEST(Cgroup, TakesNothingFromBrokenLines) {
  EXPECT_THAT(cgroup2_mounts(""), IsEmpty());
  EXPECT_THAT(cgroup2_mounts("\n\n - cgroup2\n"), ElementsAre(""));
  EXPECT_THAT(cgroup2_mounts("1 2 3 - "), IsEmpty());
}

TEST(Cgroup, ReadsTheV2LineOnly) {
  EXPECT_EQ(cgroup2_line("9:memory:/a\n0::/system.slice/containerd.service\n"),
            "/system.slice/containerd.service");
  EXPECT_EQ(cgroup2_line("0::/../../x\n"), "/../../x");
  EXPECT_EQ(cgroup2_line("9:memory:/a\n"), "");
}

/// A proc file system and a hierarchy made of plain files.
class FakeHost : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() /
            ("hagring-cgroup-test-" + std::to_string(::getpid()));
    write("proc/self/mountinfo",
          "1 1 0:1 / " + root_.string() + "/cgroup rw - cgroup2 cgroup2 rw\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  Result<Cgroup> find(pid_t pid) { return find_cgroup(pid, root_ / "proc"); }

  std::filesystem::path root_;
};

TEST_F(FakeHost, BelievesThePathThatListsTheProcess) {
  write("proc/42/cgroup", "0::/system.slice/containerd.service\n");
  write("cgroup/system.slice/containerd.service/cgroup.procs", "7\n42\n");
  const auto found = find(42);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, root_.string() + "/cgroup/system.slice/containerd.service");
  EXPECT_NE(found->id, 0U);
}

TEST_F(FakeHost, RefusesAPathThatDoesNotListTheProcess) {
  write("proc/42/cgroup", "0::/system.slice/containerd.service\n");
  write("cgroup/system.slice/containerd.service/cgroup.procs", "7\n421\n4\n");
  EXPECT_EQ(find(42).error(), Errc::not_in_cgroup);
}

TEST_F(FakeHost, SearchesWhenThePathLeavesItsOwnNamespace) {
  write("proc/42/cgroup", "0::/../../system.slice/containerd.service\n");
  write("cgroup/system.slice/containerd.service/cgroup.procs", "7\n");
  write("cgroup/kind/system.slice/containerd.service/cgroup.procs", "42\n");
  const auto found = find(42);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, root_.string() + "/cgroup/kind/system.slice/containerd.service");
  write("cgroup/kind/system.slice/containerd.service/cgroup.procs", "");
  EXPECT_EQ(find_cgroup(42, root_ / "proc", found->path).error(), Errc::not_in_cgroup);
}

TEST_F(FakeHost, SaysThatThereIsNoCgroup2) {
  write("proc/42/cgroup", "9:memory:/a\n");
  EXPECT_EQ(find(42).error(), Errc::no_cgroup2_mount);
}

TEST_F(FakeHost, SaysThatTheProcessIsGone) { EXPECT_EQ(find(42).error().value(), ENOENT); }

TEST_F(FakeHost, ReadsTheStartTimeBehindAnyName) {
  write("proc/42/stat",
        "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 98765 20 21\n");
  const auto time = process_start_time(42, root_ / "proc");
  ASSERT_TRUE(time);
  EXPECT_EQ(*time, 98765U);
  write("proc/42/stat", "42 (short");
  EXPECT_FALSE(process_start_time(42, root_ / "proc"));
}

}  // namespace
}  // namespace hagring::redirect
