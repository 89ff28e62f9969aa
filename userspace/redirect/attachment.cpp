// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/attachment.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "userspace/base/unique_fd.hpp"
#include "userspace/redirect/error.hpp"

namespace hagring::redirect {
namespace {

error_code open_error() {
  return errno == ENOENT || errno == ENODEV ? make_error_code(Errc::cgroup_gone)
                                            : last_system_error();
}

/// EPERM says two things: no capability, or a foreign program that allows none beside it. With the
/// programs loaded the former can't be.
error_code attach_error() {
  switch (errno) {
    case EPERM:
      return Errc::attach_refused;
    case EACCES:
      return Errc::not_permitted;
    case ENOENT:
    case ENODEV:
      return Errc::cgroup_gone;
    default:
      return last_system_error();
  }
}

}  // namespace

Result<Attachment> Attachment::make(FdKeeper& keeper, const std::string& cgroup_path,
                                    const std::vector<Program>& programs) {
  Attachment attachment(keeper);
  attachment.cgroup_path_ = cgroup_path;
  error_code error;
  keeper.run([&] { error = attachment.attach(programs); });
  if (error) return error;
  return attachment;
}

Attachment::Attachment(Attachment&& other) noexcept
    : keeper_(other.keeper_),
      cgroup_path_(std::move(other.cgroup_path_)),
      cgroup_id_(other.cgroup_id_),
      links_(std::exchange(other.links_, {})) {}

Attachment& Attachment::operator=(Attachment&& other) noexcept {
  if (this == &other) return *this;
  detach();
  keeper_ = other.keeper_;
  cgroup_path_ = std::move(other.cgroup_path_);
  cgroup_id_ = other.cgroup_id_;
  links_ = std::exchange(other.links_, {});
  return *this;
}

Attachment::~Attachment() { detach(); }

error_code Attachment::attach(const std::vector<Program>& programs) {
  const UniqueFd cgroup(::open(cgroup_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return open_error();
  struct statfs filesystem{};
  if (::fstatfs(cgroup.get(), &filesystem) != 0) return last_system_error();
  if (filesystem.f_type != CGROUP2_SUPER_MAGIC) return Errc::not_cgroup2;
  struct stat directory{};
  if (::fstat(cgroup.get(), &directory) != 0) return last_system_error();
  cgroup_id_ = directory.st_ino;
  for (const auto& program : programs) {
    const int link = ::bpf_link_create(program.fd, cgroup.get(),
                                       static_cast<bpf_attach_type>(program.attach_type), nullptr);
    if (link < 0) return attach_error();
    links_.push_back(link);
  }
  return {};
}

void Attachment::detach() noexcept {
  if (links_.empty()) return;
  keeper_->run([this] {
    for (; !links_.empty(); links_.pop_back()) ::close(links_.back());
  });
}

bool Attachment::alive() const {
  // The kernel severs links some time after rmdir; the path tells at once.
  struct stat directory{};
  if (::stat(cgroup_path_.c_str(), &directory) != 0 || directory.st_ino != cgroup_id_) return false;
  bool alive = false;
  keeper_->run([&] { alive = links_alive(); });
  return alive;
}

bool Attachment::links_alive() const {
  for (const int link : links_) {
    bpf_link_info info{};
    __u32 size = sizeof(info);
    if (::bpf_obj_get_info_by_fd(link, &info, &size) != 0) return false;
    if (info.cgroup.cgroup_id == 0) return false;
  }
  return !links_.empty();
}

}  // namespace hagring::redirect
