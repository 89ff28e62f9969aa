// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace hagring {
namespace {

namespace fs = std::filesystem;

struct AtomicFileTest : testing::Test {
  AtomicFileTest() { fs::create_directories(directory); }
  ~AtomicFileTest() override { fs::remove_all(directory); }
  fs::path directory = fs::path(testing::TempDir()) / ("atomic-file-" + std::to_string(::getpid()));
  fs::path file = directory / "a";
};

TEST_F(AtomicFileTest, ReplacesAFileAndItsMode) {
  ASSERT_TRUE(write_file_atomically(file, "one", 0644));
  ASSERT_TRUE(write_file_atomically(file, "two", 0600));
  EXPECT_EQ(read_small_file(file, 100), Result<std::string>("two"));
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1);
}

TEST_F(AtomicFileTest, ReplacesLinksAndFollowsNone) {
  ASSERT_TRUE(write_file_atomically(directory / "other", "untouched", 0644));
  fs::create_symlink("other", file);
  fs::create_symlink("other", directory / ".a.new");
  EXPECT_EQ(read_small_file(file, 100).error(), Errc::unsupported);
  ASSERT_TRUE(write_file_atomically(file, "mine", 0600));
  EXPECT_EQ(read_small_file(file, 100), Result<std::string>("mine"));
  EXPECT_EQ(read_small_file(directory / "other", 100), Result<std::string>("untouched"));
}

TEST_F(AtomicFileTest, ReadsOnlySmallRegularFiles) {
  EXPECT_EQ(read_small_file(file, 100).error(), Errc::not_found);
  EXPECT_EQ(read_small_file(directory / "no" / "such", 100).error(), Errc::not_found);
  ASSERT_TRUE(write_file_atomically(file, std::string(101, 'x'), 0600));
  EXPECT_EQ(read_small_file(file, 100).error(), Errc::too_large);
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_small_file(directory / "fifo", 100).error(), Errc::unsupported);
  EXPECT_EQ(read_small_file(directory, 100).error(), Errc::unsupported);
}

}  // namespace
}  // namespace hagring
