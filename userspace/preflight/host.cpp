// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "userspace/agent/descriptors.hpp"
#include "userspace/base/result.hpp"
#include "userspace/preflight/preflight.hpp"
#include "userspace/redirect/cgroup.hpp"
#include "userspace/redirect/hook_object.hpp"
#include "userspace/redirect/pins.hpp"
#include "userspace/redirect/privileges.hpp"
#include "userspace/redirect/process.hpp"
#include "userspace/redirect/socket_address.hpp"

namespace hagring::preflight {
namespace {

/// The inode of a hierarchy's root (cgroup2 in kernfs, fs/kernfs/dir.c): a mount of less than the
/// whole has another.
constexpr ino_t kRootInode = 1;
/// Two for each connection, and those of the rest.
constexpr rlim_t kFewDescriptors = 4096;

/// What `step` throws, as a failure; else `found`.
template <typename Step>
Check attempt(std::string name, std::string found, Step step) {
  try {
    step();
    return {.name = std::move(name), .level = Level::ok, .found = std::move(found)};
  } catch (const StartError& error) {
    const std::string text = error.what();
    const auto end = text.find('\n');  // the verifier's log isn't for this screen
    return {
        .name = std::move(name),
        .level = Level::failure,
        .found = text.substr(0, end),
        .advice = end == std::string::npos ? "" : "`hagring agent` shows the kernel's own words"};
  }
}

Check check_kernel() {
  utsname kernel{};
  ::uname(&kernel);
  constexpr std::uint32_t kProbeFlows = 16;
  const bool cookie = redirect::can_ask_netns_cookie();
  auto check =
      attempt("kernel", fmt::format("Linux {}: the hook's programs and maps load", kernel.release),
              [&] { redirect::load_hook_object(kProbeFlows, cookie); });
  if (check.level == Level::ok && !cookie) {
    check.level = Level::warning;
    check.found += ", without SO_NETNS_COOKIE (5.14)";
    check.advice =
        "connections of two network namespaces with the same ports can't be told apart: they are "
        "closed";
  }
  return check;
}

Check check_cgroup2() {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  const auto mounts = redirect::cgroup2_mounts(text.str());
  if (mounts.empty()) {
    return {"cgroup v2", Level::failure, "no cgroup2 file system is mounted",
            "boot with systemd.unified_cgroup_hierarchy=1, or mount one beside version 1: mount -t "
            "cgroup2 none /sys/fs/cgroup/unified (in a pod: mount the host's /sys/fs/cgroup)"};
  }
  for (const auto& mount : mounts) {
    struct stat status{};
    if (::stat(mount.c_str(), &status) == 0 && status.st_ino == kRootInode) {
      return {"cgroup v2", Level::ok, "mounted at " + mount};
    }
  }
  return {"cgroup v2", Level::failure,
          fmt::format("{} shows a part of the hierarchy only", fmt::join(mounts, ", ")),
          "in a pod: mount the host's /sys/fs/cgroup"};
}

Check check_pids() {
  if (redirect::in_initial_pid_namespace()) {
    return {"pid namespace", Level::ok, "the host's"};
  }
  return {"pid namespace", Level::warning,
          "not the host's: any process of containerd's cgroup is intercepted, not it alone",
          "Kubernetes: hostPID: true"};
}

Check check_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto found = fmt::format("{} at the most", limit.rlim_max);
  if (limit.rlim_max >= kFewDescriptors) return {"descriptors", Level::ok, found};
  if (limit.rlim_max < agent::kFewestDescriptors) {
    return {"descriptors", Level::failure, found,
            fmt::format("the agent needs {}: raise the limit (ulimit -n, LimitNOFILE=)",
                        agent::kFewestDescriptors)};
  }
  return {"descriptors", Level::warning, found,
          "they are enough for few connections at once, others go past the mirror: raise the limit "
          "(ulimit -n, LimitNOFILE=)"};
}

Check check_state(const agent::Config& config) {
  const auto& directory = config.state_dir;
  auto existing = directory;
  struct stat status{};
  while (::stat(existing.c_str(), &status) != 0 && existing.size() > 1) {
    existing = existing.substr(0, std::max<std::size_t>(existing.find_last_of('/'), 1));
  }
  if (!S_ISDIR(status.st_mode)) {
    return {"state", Level::failure, existing + " is no directory", "choose another --state-dir"};
  }
  if (::access(existing.c_str(), W_OK) != 0) {
    return {"state", Level::failure,
            fmt::format("{} can't be written: {}", existing, last_system_error().message()),
            "choose another --state-dir, or mount it writable"};
  }
  return {"state", Level::ok, directory + (existing == directory ? "" : " (will be made)")};
}

}  // namespace

Checks check_host(const agent::Config& config) {
  Checks all;
  all.push_back(attempt("privileges", "CAP_BPF and CAP_NET_ADMIN",
                        [] { redirect::require_bpf_capabilities(); }));
  if (all.back().level == Level::ok) all.push_back(check_kernel());
  all.push_back(check_cgroup2());
  if (!config.pin_dir.empty()) {
    all.push_back(attempt("BPF file system", config.pin_dir,
                          [&] { redirect::require_bpf_file_system(config.pin_dir); }));
  }
  all.push_back(check_pids());
  all.push_back(check_descriptors());
  all.push_back(check_state(config));
  return all;
}

}  // namespace hagring::preflight
