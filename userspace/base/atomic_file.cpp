// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "userspace/base/unique_fd.hpp"

namespace hagring {
namespace {

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_system_error();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<UniqueFd> open_directory_of(const std::filesystem::path& path) {
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  UniqueFd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return Errc::not_found;
  if (!fd) return last_system_error();
  return fd;
}

Result<void> fill_and_rename(int directory_fd, int fd, const std::string& temporary,
                             const std::string& name, std::string_view text, mode_t mode) {
  CHECK_OK(write_all(fd, text));
  if (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0 ||
      ::renameat(directory_fd, temporary.c_str(), directory_fd, name.c_str()) != 0) {
    return last_system_error();
  }
  // The rename itself survives a crash; a file system that can't do this has done what it can.
  (void)::fsync(directory_fd);
  return {};
}

}  // namespace

Result<void> write_file_atomically(int directory_fd, const std::string& name, std::string_view text,
                                   mode_t mode) {
  const auto temporary = "." + name + ".new";
  if (::unlinkat(directory_fd, temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return last_system_error();
  }
  // Threat: whoever may write here could have put a link of that name; O_EXCL follows none.
  const UniqueFd fd(::openat(directory_fd, temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return last_system_error();
  const auto done = fill_and_rename(directory_fd, fd.get(), temporary, name, text, mode);
  if (!done) (void)::unlinkat(directory_fd, temporary.c_str(), 0);
  return done;
}

Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view text,
                                   mode_t mode) {
  TRY(const auto directory, open_directory_of(path));
  return write_file_atomically(directory.get(), path.filename().string(), text, mode);
}

Result<std::string> read_small_file(int directory_fd, const std::string& name,
                                    std::size_t max_size) {
  // O_NONBLOCK: a FIFO of that name must not hold us up.
  const UniqueFd fd(
      ::openat(directory_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return Errc::not_found;
  if (!fd && errno == ELOOP) return Errc::unsupported;
  if (!fd) return last_system_error();
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return last_system_error();
  if (!S_ISREG(status.st_mode)) return Errc::unsupported;
  std::string text;
  while (true) {
    char part[4096];
    const auto size = ::read(fd.get(), part, sizeof(part));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return last_system_error();
    if (size == 0) return text;
    text.append(part, static_cast<std::size_t>(size));
    if (text.size() > max_size) return Errc::too_large;
  }
}

Result<std::string> read_small_file(const std::filesystem::path& path, std::size_t max_size) {
  TRY(const auto directory, open_directory_of(path));
  return read_small_file(directory.get(), path.filename().string(), max_size);
}

}  // namespace hagring
