// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Gives the file of `fd` a number above those that connections get, and closes `fd`; returns `fd`
/// itself where there is no such number (a low RLIMIT_NOFILE).
///
/// A process that is killed lets go of its files from the highest number to the lowest
/// (fs/file_table.c: __fput_deferred() hands each to task_work, which runs the last one first). So
/// the listener is gone before the first of its clients notices, and a client that connects again
/// at once can't be led to it.
int closed_first(int fd) noexcept;

/// Makes room for such numbers. To be called before the first thread is started: while there are
/// several, each time that the table of descriptors grows the kernel waits until all processors
/// have gone through a quiet state (fs/file.c: expand_fdtable()), some 10 ms.
void make_room_for_closed_first() noexcept;

/// closed_first() for a bound socket or acceptor on which nothing is under way; options that Asio
/// remembers of it (non_blocking) are to be set afterwards.
template <typename Socket>
error_code close_first(Socket& socket) {
  error_code failed;
  const auto protocol = socket.local_endpoint(failed).protocol();
  if (failed) return failed;
  const int fd = socket.release(failed);
  if (!failed) socket.assign(protocol, closed_first(fd), failed);
  return failed;
}

}  // namespace hagring
