// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "registry/content_store.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::containerd {

/// How full a file system is.
struct DiskUsage {
  std::uint64_t capacity = 0;   ///< bytes
  std::uint64_t available = 0;  ///< bytes, to others than root

  /// As kubelet counts for its image garbage collection (pkg/kubelet/images/image_gc_manager.go).
  unsigned percent() const {
    return capacity == 0 ? 0 : 100 - static_cast<unsigned>(available * 100 / capacity);
  }
};

/// The folder of containerd's content store (<root>/blobs/<algorithm>/<hex>), whose parent is held
/// open, so that blobs are still found when containerd, and with it /proc/<pid>/root, has gone.
/// Safe from any thread.
class ContentFolder {
 public:
  /// Opens `root`, a path as containerd sees it: below `host_root`, or, where that is another
  /// folder or none, below the root of containerd's own process `pid` (0: unknown). It needn't
  /// exist yet, but its parent has to. Errors: the system's, of the last try.
  static Result<ContentFolder> find(const std::string& root, const std::string& host_root,
                                    pid_t pid);

  /// Opens a committed blob of `size` bytes. Errors: Errc::not_found; Errc::bad_message when the
  /// file has another size or is no regular file; or the system's.
  Result<registry::OpenBlob> open(const registry::Digest& digest, std::uint64_t size) const;

  /// Of the file system that it is on. Errors: the system's.
  Result<DiskUsage> usage() const;

  /// Where it was found, for people.
  const std::string& path() const { return path_; }

 private:
  ContentFolder(UniqueFd parent, std::string name, std::string path)
      : parent_(std::move(parent)), name_(std::move(name)), path_(std::move(path)) {}
  UniqueFd parent_;
  std::string name_;  ///< below parent_
  std::string path_;
};

}  // namespace hagring::containerd
