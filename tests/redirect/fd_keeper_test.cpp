// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/fd_keeper.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace hagring::redirect {
namespace {

TEST(FdKeeper, ItsThreadHasDescriptorsOfItsOwn) {
  const int kept = ::open("/dev/null", O_RDONLY);
  const int other = ::open("/dev/null", O_RDONLY);
  ASSERT_TRUE(kept > 2 && other > 2);
  FdKeeper keeper({kept});
  bool has_kept = false;
  bool has_other = true;
  keeper.run([&] {
    has_kept = ::fcntl(kept, F_GETFD) >= 0;
    has_other = ::fcntl(other, F_GETFD) >= 0;
  });
  EXPECT_TRUE(has_kept);
  EXPECT_FALSE(has_other);
  ::close(kept);
  ::close(other);
}

TEST(FdKeeper, ItsThreadIsGivenNoSignal) {
  FdKeeper keeper({});
  sigset_t blocked;
  ::sigemptyset(&blocked);
  keeper.run([&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    EXPECT_EQ(::sigismember(&blocked, signal), 1) << signal;
  }
  // Nobody else is kept from them.
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  EXPECT_EQ(::sigismember(&blocked, SIGTERM), 0);
}

}  // namespace
}  // namespace hagring::redirect
