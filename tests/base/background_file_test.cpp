// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/background_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hagring {
namespace {

constexpr std::size_t kMaxSize = 100;

struct BackgroundFileTest : testing::Test {
  BackgroundFileTest() { std::filesystem::create_directories(folder); }
  ~BackgroundFileTest() override { std::filesystem::remove_all(folder); }

  std::filesystem::path folder =
      testing::TempDir() + "hagring_background_" + std::to_string(::getpid());
  std::filesystem::path path = folder / "records";
};

/// Takes the place of standard error, so that what is logged can be waited for.
class StandardError {
 public:
  StandardError() : before_(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::pipe2(ends_, O_CLOEXEC | O_NONBLOCK), 0);
    ::dup2(ends_[1], STDERR_FILENO);
  }
  ~StandardError() {
    ::dup2(before_, STDERR_FILENO);
    for (const int fd : {before_, ends_[0], ends_[1]}) ::close(fd);
  }

  bool wait_for(std::string_view text) {
    std::string all;
    char some[256];
    pollfd readable{ends_[0], POLLIN, 0};
    while (all.find(text) == std::string::npos) {
      if (::poll(&readable, 1, 30'000) != 1) return false;
      const auto size = ::read(ends_[0], some, sizeof(some));
      if (size > 0) all.append(some, static_cast<std::size_t>(size));
    }
    return true;
  }

 private:
  int before_;
  int ends_[2] = {-1, -1};
};

TEST_F(BackgroundFileTest, WhatWasSavedLastIsLoaded) {
  {
    BackgroundFile file(path, "records", "test", kMaxSize);
    EXPECT_EQ(file.load().error(), Errc::not_found);
    for (std::uint8_t i = 0; i < 100; ++i) file.save({i, i});
  }  // writes what waits
  EXPECT_EQ(BackgroundFile(path, "records", "test", kMaxSize).load().value(), (Bytes{99, 99}));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(BackgroundFileTest, FinishWaitsUntilAllIsWritten) {
  BackgroundFile file(path, "records", "test", kMaxSize);
  file.save({1, 2, 3});
  file.finish();
  EXPECT_EQ(file.load().value(), (Bytes{1, 2, 3}));
}

TEST_F(BackgroundFileTest, AFolderThatIsGoneIsNoFailure) {
  BackgroundFile file(folder / "none" / "records", "records", "test", kMaxSize);
  testing::internal::CaptureStderr();
  file.save({1});
  file.finish();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("can't be kept"), std::string::npos);
}

TEST_F(BackgroundFileTest, AFailureIsTriedAgain) {
  const auto later = folder / "later";
  StandardError log;
  BackgroundFile file(later / "records", "records", "test", kMaxSize, std::chrono::milliseconds(5));
  file.save({1, 2});
  ASSERT_TRUE(log.wait_for("can't be kept"));
  std::filesystem::create_directories(later);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!file.load() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(file.load().value(), (Bytes{1, 2}));
}

TEST_F(BackgroundFileTest, WhatIsTooLargeIsNotLoaded) {
  BackgroundFile file(path, "records", "test", kMaxSize);
  file.save(Bytes(kMaxSize + 1));
  file.finish();
  EXPECT_EQ(file.load().error(), Errc::too_large);
}

TEST(BackgroundFile, WithoutAPathNothingIsKept) {
  BackgroundFile file("", "records", "test", kMaxSize);
  file.save({1});
  EXPECT_EQ(file.load().error(), Errc::not_found);
}

}  // namespace
}  // namespace hagring
