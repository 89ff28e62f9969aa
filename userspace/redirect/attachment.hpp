// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "userspace/base/result.hpp"
#include "userspace/redirect/fd_keeper.hpp"

namespace hagring::redirect {

/// The programs on one cgroup, held by file descriptors of an FdKeeper only: they leave it when
/// this object is destroyed, or with the process however it ends. The keeper outlives it.
class Attachment {
 public:
  /// A loaded program and where it attaches (BPF_CGROUP_INET4_CONNECT, …).
  struct Program {
    int fd;
    int attach_type;
  };

  /// Attaches `programs`, whose descriptors `keeper` has inherited, in this order, all or none.
  /// They leave in the reverse order.
  /// Errors: Errc of this folder, or the system's.
  static Result<Attachment> make(FdKeeper& keeper, const std::string& cgroup_path,
                                 const std::vector<Program>& programs);

  Attachment(Attachment&&) noexcept;
  Attachment& operator=(Attachment&&) noexcept;
  ~Attachment();

  /// Whether the programs are still on the cgroup at that path: removing it severs the links, and
  /// a new one by the same name is another cgroup.
  bool alive() const;

  const std::string& cgroup_path() const { return cgroup_path_; }

 private:
  explicit Attachment(FdKeeper& keeper) : keeper_(&keeper) {}
  error_code attach(const std::vector<Program>& programs);
  bool links_alive() const;
  void detach() noexcept;

  FdKeeper* keeper_;
  std::string cgroup_path_;
  std::uint64_t cgroup_id_ = 0;  ///< the directory's inode
  std::vector<int> links_;       ///< the keeper's descriptors
};

}  // namespace hagring::redirect
