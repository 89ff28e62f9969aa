// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/hosts_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/open_in_root.hpp"
#include "userspace/proxy/trust_store.hpp"

namespace hagring::proxy {
namespace {

/// The first line of a file of ours. PEM readers skip what is before the first block.
constexpr std::string_view kMark = "# Made by hagring, the node's registry mirror\n";
constexpr std::size_t kMaxFile = std::size_t{64} * 1024;
/// By which a registry says itself what is trusted.
constexpr const char* kOwnSettings = "hosts.toml";

bool is_there(int directory_fd, const std::string& name) {
  struct stat status{};
  return ::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

UniqueFd open_directory(int directory_fd, const std::string& name) {
  return UniqueFd(
      ::openat(directory_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// Where a namespace is looked up first, if that is there: `host_5000_` for `host:5000`
/// (config_unix.go, hostPaths).
std::string directory_name(int directory_fd, const std::string& name) {
  const auto colon = name.rfind(':');
  if (colon == std::string::npos) return name;
  auto other = name.substr(0, colon) + "_" + name.substr(colon + 1) + "_";
  return is_there(directory_fd, other) ? other : name;
}

/// Whether the file of our name is ours, and if it has this content.
struct Ours {
  bool there = false;
  bool ours = false;
  bool same = false;
};

Ours look(int directory_fd, const std::string& file, std::string_view wanted) {
  const auto text = read_small_file(directory_fd, file, kMaxFile);
  if (!text) return {.there = text.error() != Errc::not_found};
  return {.there = true, .ours = text->starts_with(kMark), .same = *text == wanted};
}

enum class Placing { left_out, same, written };

Result<Placing> place_one(int directory_fd, const std::string& name, bool may_make,
                          const std::string& file, const std::string& text) {
  auto folder = open_directory(directory_fd, name);
  const bool made = !folder && errno == ENOENT && may_make;
  if (made && ::mkdirat(directory_fd, name.c_str(), 0755) != 0) return last_system_error();
  if (made) folder = open_directory(directory_fd, name);
  if (!folder) return Placing::left_out;  // a link, or a file: somebody's own
  if (is_there(folder.get(), kOwnSettings)) return Placing::left_out;
  const auto found = look(folder.get(), file, text);
  if (found.there && !found.ours) return Placing::left_out;
  if (found.same) return Placing::same;
  CHECK_OK(write_file_atomically(folder.get(), file, text, 0644));
  return Placing::written;
}

/// Takes ours away from one directory, and the directory if it had nothing else. How many it had.
Result<std::size_t> remove_one(int directory_fd, const std::string& name, const std::string& file) {
  const auto folder = open_directory(directory_fd, name);
  if (!folder || !look(folder.get(), file, {}).ours) return 0;
  if (::unlinkat(folder.get(), file.c_str(), 0) != 0) return last_system_error();
  (void)::unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR);  // only if it is empty
  return 1;
}

std::vector<std::string> names_in(int directory_fd) {
  std::vector<std::string> names;
  UniqueFd again(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(again.get()), ::closedir);
  if (!listing) return names;
  (void)again.release();
  while (const auto* entry = ::readdir(listing.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

}  // namespace

HostsFolder::HostsFolder(std::filesystem::path host, std::filesystem::path directory,
                         const std::string& name)
    : host_(std::move(host)),
      directory_(std::move(directory)),
      file_name_(kTrustFilePrefix + name + ".crt") {}

UniqueFd HostsFolder::open() const {
  return open_in_root(host_, directory_, O_RDONLY | O_DIRECTORY);
}

Result<PlacedHosts> HostsFolder::place(const std::vector<std::string>& namespaces,
                                       std::string_view pem) const {
  const auto folder = open();
  if (!folder && (errno == ENOENT || errno == ENOTDIR)) return Errc::not_found;
  if (!folder) return as_trust_error(last_system_error());
  const bool may_make = !is_there(folder.get(), "_default");
  const auto text = std::string(kMark) + std::string(pem);
  PlacedHosts placed;
  for (const auto& name : namespaces) {
    const auto done =
        place_one(folder.get(), directory_name(folder.get(), name), may_make, file_name_, text);
    if (!done) return as_trust_error(done.error());
    if (*done == Placing::left_out) continue;
    placed.covered.insert(name);
    placed.changed = placed.changed || *done == Placing::written;
  }
  return placed;
}

Result<std::size_t> HostsFolder::remove() const {
  const auto folder = open();
  if (!folder && (errno == ENOENT || errno == ENOTDIR)) return 0;
  if (!folder) return as_trust_error(last_system_error());
  std::size_t removed = 0;
  for (const auto& name : names_in(folder.get())) {
    const auto done = remove_one(folder.get(), name, file_name_);
    if (!done) return as_trust_error(done.error());
    removed += *done;
  }
  return removed;
}

}  // namespace hagring::proxy
