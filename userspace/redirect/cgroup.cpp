// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/cgroup.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <charconv>

#include "userspace/redirect/error.hpp"
#include "userspace/redirect/proc_file.hpp"

namespace hagring::redirect {
namespace {

/// Directories that a search looks at, at most: nodes have a few thousand cgroups.
constexpr std::size_t kSearchLimit = 50'000;

/// Undoes mountinfo's \040 and the like.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i] + 4, value, 8).ptr == &text[i] + 4) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view field(std::string_view line, std::size_t number) {
  for (; number > 0; --number) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

template <typename Function>
void for_each_line(std::string_view text, Function function) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    function(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

bool lists(const std::string& directory, pid_t pid) {
  const auto processes = read_proc_file(directory + "/cgroup.procs");
  if (!processes) return false;
  bool found = false;
  const auto wanted = std::to_string(pid);
  for_each_line(*processes, [&](std::string_view line) { found = found || line == wanted; });
  return found;
}

std::uint64_t inode(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

std::vector<std::string> children_of(const std::string& directory) {
  std::vector<std::string> children;
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return children;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      children.push_back(directory + "/" + std::string(name));
    }
  }
  ::closedir(stream);
  return children;
}

/// Looks below `mount` for the directory that ends in `ending` and lists `pid`.
std::string search(const std::string& mount, std::string_view ending, pid_t pid) {
  std::vector<std::string> open{mount};
  for (std::size_t looked = 0; !open.empty() && looked < kSearchLimit; ++looked) {
    const auto directory = std::move(open.back());
    open.pop_back();
    if (directory.ends_with(ending) && lists(directory, pid)) return directory;
    for (auto& child : children_of(directory)) open.push_back(std::move(child));
  }
  return {};
}

/// What of a path remains once it has gone up out of our cgroup namespace: "/../../x/y" → "/x/y".
std::string_view below_parents(std::string_view path) {
  while (path.starts_with("/..")) path.remove_prefix(3);
  return path;
}

}  // namespace

std::vector<std::string> cgroup2_mounts(std::string_view mountinfo) {
  std::vector<std::string> mounts;
  for_each_line(mountinfo, [&](std::string_view line) {
    const auto separator = line.find(" - ");
    if (separator == std::string_view::npos) return;
    if (field(line.substr(separator + 3), 0) != "cgroup2") return;
    mounts.push_back(unescaped(field(line, 4)));
  });
  return mounts;
}

std::string cgroup2_line(std::string_view text) {
  std::string path;
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with("0::")) path = line.substr(3);
  });
  return path;
}

Result<Cgroup> find_cgroup(pid_t pid, const std::string& proc, const std::string& known) {
  TRY(const auto membership, read_proc_file(proc + "/" + std::to_string(pid) + "/cgroup"));
  TRY(const auto mountinfo, read_proc_file(proc + "/self/mountinfo"));
  const auto path = cgroup2_line(membership);
  auto mounts = cgroup2_mounts(mountinfo);
  if (path.empty() || mounts.empty()) return Errc::no_cgroup2_mount;
  if (!known.empty() && known.ends_with(below_parents(path)) && lists(known, pid)) {
    return Cgroup{known, inode(known)};
  }
  // Those that show the hierarchy from its root (inode 1) first: a fresh mount in a container
  // shows the container's part only, and several mounts are common (kumahq/kuma#9846).
  std::partition(mounts.begin(), mounts.end(),
                 [](const std::string& mount) { return inode(mount) == 1; });
  for (const auto& mount : mounts) {
    const auto directory = path == "/" ? mount : mount + path;
    if (lists(directory, pid)) return Cgroup{directory, inode(directory)};
  }
  // From inside a cgroup namespace the path is relative to our own place in the hierarchy, which
  // we can't know by name.
  for (const auto& mount : mounts) {
    const auto directory = search(mount, below_parents(path), pid);
    if (!directory.empty()) return Cgroup{directory, inode(directory)};
  }
  return Errc::not_in_cgroup;
}

}  // namespace hagring::redirect
