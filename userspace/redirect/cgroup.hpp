// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// A cgroup v2 directory.
struct Cgroup {
  std::string path;      ///< where it can be opened here
  std::uint64_t id = 0;  ///< its inode, which is what BPF calls the cgroup's id

  bool operator==(const Cgroup&) const = default;
};

/// The cgroup v2 directory of process `pid`: from /proc and from whichever mounts of cgroup2 there
/// are (/sys/fs/cgroup, …/unified on hybrid systems, a hostPath in a pod). It is only believed if
/// the process is listed in it. `proc`: where the proc file system is mounted. `known`: where it
/// was last time, which spares a search through the hierarchy from inside a cgroup namespace.
/// Errors: Errc::no_cgroup2_mount, Errc::not_in_cgroup, or the system's for a process that is gone.
Result<Cgroup> find_cgroup(pid_t pid, const std::string& proc = "/proc",
                           const std::string& known = {});

/// The mount points of cgroup2 in the text of a mountinfo file (proc_pid_mountinfo(5)).
std::vector<std::string> cgroup2_mounts(std::string_view mountinfo);

/// The path after "0::" in the text of /proc/<pid>/cgroup (cgroups(7)); empty if there is none.
std::string cgroup2_line(std::string_view text);

}  // namespace hagring::redirect
