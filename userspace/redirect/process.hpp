// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::redirect {

/// The process that listens on a Unix socket, as the kernel tells it (SO_PEERCRED: who called
/// listen()). Connects and hangs up; never waits.
/// Errors: Errc::no_host_pids; hagring::Errc::unavailable when its queue of connections is full;
/// the system's (ENOENT: no such socket; ECONNREFUSED: nobody listens there any more).
Result<pid_t> socket_owner(const std::string& socket_path);

/// A descriptor that becomes readable when the process ends (Linux 5.3).
Result<UniqueFd> open_pidfd(pid_t pid);

/// The process's name; not proof of anything, a process may call itself what it likes.
Result<std::string> process_comm(pid_t pid, const std::string& proc = "/proc");

/// When the process started, in clock ticks since boot (proc_pid_stat(5), field 22).
Result<std::uint64_t> process_start_time(pid_t pid, const std::string& proc = "/proc");

/// The calendar's time of a process_start_time(), as far as the clock hasn't been set since.
WallTime wall_time_of(std::uint64_t start_time);

/// Whether our pids are the ones that BPF sees.
bool in_initial_pid_namespace();

}  // namespace hagring::redirect
