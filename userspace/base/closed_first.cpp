// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/closed_first.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace hagring {
namespace {

/// More than 4096 connections take, with what belongs to them; the kernel's table has 8 bytes for
/// each number below.
constexpr rlim_t kFloor = 32768;
/// For listeners and name server sockets at the limit's end.
constexpr rlim_t kRoom = 64;
/// Below it every number is wanted for something else.
constexpr rlim_t kLeastLimit = 512;

/// A copy of `fd` above those that connections get; negative: there is no such number.
int copy_high(int fd) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < kLeastLimit) return -1;
  const auto floor = static_cast<int>(std::min(kFloor, limit.rlim_cur - kRoom));
  return ::fcntl(fd, F_DUPFD_CLOEXEC, floor);
}

}  // namespace

int closed_first(int fd) noexcept {
  const int moved = copy_high(fd);
  if (moved < 0) return fd;
  ::close(fd);
  return moved;
}

void make_room_for_closed_first() noexcept {
  // The table doesn't shrink again.
  const int high = copy_high(STDERR_FILENO);
  if (high >= 0) ::close(high);
}

}  // namespace hagring
