// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/content_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace hagring::containerd {
namespace {

UniqueFd open_folder(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// A read that leaves no trace: to note its time, ext4 waits for the journal, which on a busy disk
/// takes longer than a thread may be silent. Only a file's owner may ask for that.
UniqueFd open_blob(int folder, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::openat(folder, path.c_str(), kFlags | O_NOATIME));
  if (!file && errno == EPERM) file.reset(::openat(folder, path.c_str(), kFlags));
  return file;
}

bool are_the_same(const UniqueFd& one, const UniqueFd& other) {
  struct stat first{};
  struct stat second{};
  return ::fstat(one.get(), &first) == 0 && ::fstat(other.get(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

Result<ContentFolder> ContentFolder::find(const std::string& root, const std::string& host_root,
                                          pid_t pid) {
  // From 1.7 on containerd makes the folder itself when it first has something to put there: its
  // parent, containerd's own root, is what has to be there.
  const auto end_of_parent = root.find_last_of('/');
  if (end_of_parent == std::string::npos) return Errc::bad_message;
  const auto parent = root.substr(0, end_of_parent + 1);
  const auto name = root.substr(end_of_parent + 1);
  auto own = open_folder(host_root + parent);
  const auto failure = last_system_error();
  if (pid > 0) {
    // What containerd itself sees is the truth: in a container the same path may be another folder.
    const auto its_root = "/proc/" + std::to_string(pid) + "/root";
    auto its = open_folder(its_root + parent);
    if (its && (!own || !are_the_same(own, its))) {
      return ContentFolder(std::move(its), name, its_root + root);
    }
  }
  if (!own) return failure;
  return ContentFolder(std::move(own), name, host_root + root);
}

Result<registry::OpenBlob> ContentFolder::open(const registry::Digest& digest,
                                               std::uint64_t size) const {
  // A Digest is always valid, so its text can't lead out of the folder.
  std::string path = name_ + "/blobs/";
  path += digest.algorithm_name();
  path += '/';
  path += digest.hex();
  auto file = open_blob(parent_.get(), path);
  if (!file) {
    if (errno == ENOENT) return Errc::not_found;
    return last_system_error();
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return last_system_error();
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != size) {
    return Errc::bad_message;
  }
  return registry::OpenBlob{.file = std::move(file), .size = size};
}

Result<DiskUsage> ContentFolder::usage() const {
  struct statvfs status{};
  if (::fstatvfs(parent_.get(), &status) != 0) return last_system_error();
  return DiskUsage{.capacity = std::uint64_t{status.f_frsize} * status.f_blocks,
                   .available = std::uint64_t{status.f_frsize} * status.f_bavail};
}

}  // namespace hagring::containerd
