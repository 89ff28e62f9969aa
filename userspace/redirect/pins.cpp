// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/pins.hpp"

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "userspace/base/result.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::redirect {
namespace {

std::string parent_of(const std::string& directory) {
  const auto slash = directory.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : directory.substr(0, slash);
}

[[noreturn]] void fail(const std::string& what) {
  const int reason = errno;
  throw StartError(fmt::format(
      "{}: {}{}", what, std::strerror(reason),
      reason == EACCES || reason == EPERM
          ? "; AppArmor's default container profile and SELinux's container_t deny writing to the "
            "BPF file system: run the agent unconfined (SELinux: spc_t)"
          : ""));
}

/// The kernel's number for a map; 0 if there is none.
__u32 map_id(int fd) {
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (fd < 0 || ::bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return 0;
  return info.id;
}

}  // namespace

void require_bpf_file_system(const std::string& directory) {
  struct statfs filesystem{};
  const auto parent = parent_of(directory);
  if (::statfs(parent.c_str(), &filesystem) != 0) {
    throw StartError(
        fmt::format("the maps can't be pinned at {}: {}: {}; create it or choose "
                    "another pin directory",
                    directory, parent, std::strerror(errno)));
  }
  if (static_cast<unsigned long>(filesystem.f_type) != BPF_FS_MAGIC) {
    throw StartError(
        fmt::format("the maps can't be pinned at {}: {} is not in a BPF file system; "
                    "run: mount -t bpf bpf /sys/fs/bpf (in a pod: mount the host's "
                    "/sys/fs/bpf)",
                    directory, parent));
  }
}

Result<std::vector<std::string>> remove_left_pins(const std::string& directory, bool dry_run) {
  std::vector<std::string> removed;
  struct statfs filesystem{};
  if (::statfs(directory.c_str(), &filesystem) != 0) {
    if (errno == ENOENT) return removed;
    return last_system_error();
  }
  if (static_cast<unsigned long>(filesystem.f_type) != BPF_FS_MAGIC) return removed;
  for (const auto& name : kPinnedMaps) {
    auto path = directory + "/" + std::string(name);
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) continue;
    if (!dry_run && ::unlink(path.c_str()) != 0) return last_system_error();
    removed.push_back(std::move(path));
  }
  if (!dry_run) ::rmdir(directory.c_str());
  return removed;
}

Pins::Pins(std::string directory, std::vector<Map> maps)
    : directory_(std::move(directory)), maps_(std::move(maps)) {
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
  require_bpf_file_system(directory_);
  if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) fail("mkdir " + directory_);
  try {
    pin_all();
  } catch (const StartError&) {
    remove();
    throw;
  }
}

Pins::~Pins() { remove(); }

void Pins::pin_all() {
  for (const auto& map : maps_) {
    const auto name = path(map);
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail("removing the old pin " + name);
    if (::bpf_obj_pin(map.fd, name.c_str()) != 0) fail("pinning " + name);
  }
}

void Pins::remove() {
  for (const auto& map : maps_) {
    const auto name = path(map);
    const UniqueFd there(::bpf_obj_get(name.c_str()));
    if (there && map_id(there.get()) == map_id(map.fd)) ::unlink(name.c_str());
  }
  ::rmdir(directory_.c_str());
}

}  // namespace hagring::redirect
