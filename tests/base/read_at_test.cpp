// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/read_at.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

namespace hagring {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

TEST(ReadAt, ReadsAsFarAsTheFileGoes) {
  const std::unique_ptr<std::FILE, Close> file(std::tmpfile());
  ASSERT_TRUE(file);
  ASSERT_EQ(std::fputs("0123456789", file.get()), 1);
  ASSERT_EQ(std::fflush(file.get()), 0);
  const int fd = ::fileno(file.get());
  Bytes into(4);
  EXPECT_EQ(read_at(fd, 3, into).value(), 4U);
  EXPECT_EQ(as_text(into), "3456");
  EXPECT_EQ(read_at(fd, 8, into).value(), 2U);
  EXPECT_EQ(as_text(ByteView(into).first(2)), "89");
  EXPECT_EQ(read_at(fd, 20, into).value(), 0U);
}

TEST(ReadAt, SaysWhatTheSystemSays) {
  Bytes into(1);
  EXPECT_EQ(read_at(-1, 0, into).error(), boost::system::errc::bad_file_descriptor);
}

}  // namespace
}  // namespace hagring
