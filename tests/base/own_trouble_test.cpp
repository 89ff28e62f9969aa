// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/own_trouble.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace hagring {
namespace {

TEST(OwnTrouble, IsTheNodesAndNotTheOthers) {
  for (const int ours : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL}) {
    EXPECT_TRUE(is_own_trouble(error_code(ours, boost::system::system_category()))) << ours;
  }
  for (const int others : {ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, EPERM}) {
    EXPECT_FALSE(is_own_trouble(error_code(others, boost::system::system_category()))) << others;
  }
  EXPECT_TRUE(is_own_trouble(OwnErrc::cut_short));
  EXPECT_FALSE(is_own_trouble(Errc::timed_out));
}

}  // namespace
}  // namespace hagring
