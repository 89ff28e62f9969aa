// SPDX-License-Identifier: Apache-2.0
#include "dht/records_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hagring::dht {
namespace {

struct RecordsFileTest : testing::Test {
  RecordsFileTest() { std::filesystem::create_directories(folder); }
  ~RecordsFileTest() override { std::filesystem::remove_all(folder); }

  std::filesystem::path folder =
      testing::TempDir() + "hagring_records_" + std::to_string(::getpid());
  std::filesystem::path path = folder / "records";
};

TEST_F(RecordsFileTest, WhatWasSavedLastIsLoaded) {
  {
    RecordsFile file(path);
    EXPECT_EQ(file.load().error(), Errc::not_found);
    for (std::uint8_t i = 0; i < 100; ++i) file.save({i, i});
  }  // writes what waits
  EXPECT_EQ(RecordsFile(path).load().value(), (Bytes{99, 99}));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(RecordsFileTest, FinishWaitsUntilAllIsWritten) {
  RecordsFile file(path);
  file.save({1, 2, 3});
  file.finish();
  EXPECT_EQ(file.load().value(), (Bytes{1, 2, 3}));
}

TEST_F(RecordsFileTest, AFolderThatIsGoneIsNoFailure) {
  RecordsFile file(folder / "none" / "records");
  testing::internal::CaptureStderr();
  file.save({1});
  file.finish();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("can't be kept"), std::string::npos);
}

TEST(RecordsFile, WithoutAPathNothingIsKept) {
  RecordsFile file("");
  file.save({1});
  EXPECT_EQ(file.load().error(), Errc::not_found);
}

}  // namespace
}  // namespace hagring::dht
