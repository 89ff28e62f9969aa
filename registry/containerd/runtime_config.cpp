// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/runtime_config.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "userspace/base/open_in_root.hpp"

namespace hagring::containerd {
namespace {

namespace fs = std::filesystem;

constexpr auto kDefaultFile = "/etc/containerd/config.toml";
constexpr auto kSetting = "discard_unpacked_layers";
constexpr std::size_t kMaxFile = std::size_t{1} << 20;
/// Of files that import each other; no real configuration has as many.
constexpr std::size_t kMaxFiles = 1000;

RpcError refused(std::string text) { return {.code = Errc::bad_message, .text = std::move(text)}; }

const toml::table* table_at(const toml::table* within, std::string_view key) {
  return within == nullptr ? nullptr : within->get_as<toml::table>(key);
}

RpcResult<RuntimeConfig> read(const toml::table& document) {
  RuntimeConfig config;
  if (const auto* version = document.get("version")) {
    if (!version->is_integer()) return refused("version is no number");
    config.version = version->as_integer()->get();
  }
  if (const auto* imports = document.get("imports")) {
    if (!imports->is_array()) return refused("imports is no array");
    for (const auto& entry : *imports->as_array()) {
      if (!entry.is_string()) return refused("imports has something that is no string");
      config.imports.push_back(entry.as_string()->get());
    }
  }
  const auto* plugins = table_at(&document, "plugins");
  const auto* plugin = table_at(plugins, config.version >= 3   ? "io.containerd.cri.v1.images"
                                         : config.version == 2 ? "io.containerd.grpc.v1.cri"
                                                               : "cri");
  config.has_section = plugin != nullptr;
  if (const auto* registry = table_at(plugin, "registry")) {
    if (const auto* path = registry->get_as<std::string>("config_path"))
      config.config_path = **path;
  }
  const auto* section = config.version >= 3 ? plugin : table_at(plugin, "containerd");
  const auto* setting = section == nullptr ? nullptr : section->get(kSetting);
  if (setting == nullptr) return config;
  if (!setting->is_boolean()) return refused(std::string(kSetting) + " is neither true nor false");
  config.discards = setting->as_boolean()->get();
  return config;
}

/// Errors: Errc::not_found; the system's, or Errc::unsupported for what is no file of a
/// configuration's size.
Result<std::string> read_below(const std::string& root, const std::string& file) {
  // Not blocking: it could be a pipe.
  const auto fd = open_in_root(root, file, O_RDONLY | O_NONBLOCK);
  if (!fd && errno == ENOENT) return Errc::not_found;
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) return last_system_error();
  if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > kMaxFile) {
    return Errc::unsupported;
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  const auto size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return last_system_error();
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// The files that `pattern`, whose last part may have wildcards, stands for (resolveImports of
/// containerd's cmd/containerd/server/config).
std::vector<std::string> matches_of(const std::string& root, const fs::path& pattern) {
  if (pattern.native().find('*') == std::string::npos) return {pattern};
  const auto folder = open_in_root(root, pattern.parent_path(), O_PATH | O_DIRECTORY);
  std::vector<std::string> matches;
  if (!folder) return matches;
  std::error_code error;
  const fs::path seen = fmt::format("/proc/self/fd/{}/", folder.get());
  for (fs::directory_iterator entry(seen, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename();
    if (::fnmatch(pattern.filename().c_str(), name.c_str(), 0) == 0) {
      matches.push_back(pattern.parent_path() / name);
    }
  }
  std::ranges::sort(matches);
  return matches;
}

struct Found {
  bool discards = false;
  std::string where;
  /// A file of an older version sets it, which 2.x may lose when it migrates it (2.1.9 does).
  std::string maybe;
};

void take(Found& found, const RuntimeConfig& config, const std::string& file, bool is_first_line) {
  const bool older = !is_first_line && config.version < 3;
  if (older) {
    if (config.discards.value_or(false)) found.maybe = file;
    return;
  }
  const bool replaces = is_first_line && config.has_section;
  if (!config.discards && !replaces) return;
  found.discards = config.discards.value_or(false);
  found.where = file;
}

DiscardFinding conclude(const Found& found, const std::string& file) {
  if (!found.discards && !found.maybe.empty()) {
    return {.discards = Discards::unknown,
            .how = fmt::format("{} says so, but in a version that this containerd may lose it "
                               "from; `containerd config dump` tells",
                               found.maybe)};
  }
  if (found.where.empty()) {
    return {.discards = Discards::no, .how = "the default, which " + file + " doesn't change"};
  }
  return {.discards = found.discards ? Discards::yes : Discards::no,
          .how = found.where + " says so"};
}

}  // namespace

RpcResult<RuntimeConfig> parse_runtime_config(std::string_view text) {
  try {
    return read(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return refused(fmt::format("line {}: {}", error.source().begin.line, error.description()));
  }
}

std::optional<std::string> config_argument(std::string_view command_line) {
  std::optional<std::string> named;
  bool follows = false;
  for (bool is_program = true; !command_line.empty(); is_program = false) {
    const auto argument = command_line.substr(0, command_line.find('\0'));
    command_line.remove_prefix(std::min(argument.size() + 1, command_line.size()));
    if (std::exchange(follows, false)) {
      named = argument;
    } else if (!is_program && argument.starts_with('-')) {
      // Go's flag package takes one dash or two, and the value after `=` or by itself.
      const auto name = argument.substr(argument.starts_with("--") ? 2 : 1);
      const auto equals = name.find('=');
      const auto bare = name.substr(0, equals);
      if (bare != "c" && bare != "config") continue;
      if (equals == std::string_view::npos) {
        follows = true;
      } else {
        named = name.substr(equals + 1);
      }
    }
  }
  return named;
}

std::string visit_runtime_config(
    const ConfigPlace& place,
    const std::function<void(const RuntimeConfig& config, const std::string& file)>& visit) {
  std::set<std::string> loaded;
  for (std::deque<std::string> pending{place.file};
       !pending.empty() && loaded.size() < kMaxFiles;) {
    const auto path = pending.front();
    pending.pop_front();
    if (!loaded.insert(path).second) continue;
    const auto text = read_below(place.root, path);
    if (!text && text.error() == Errc::not_found && place.optional && path == place.file) break;
    if (!text) return fmt::format("{} can't be read ({})", path, text.error().message());
    const auto config = parse_runtime_config(*text);
    if (!config) return fmt::format("{}: {}", path, config.error().text);
    visit(*config, path);
    for (const auto& import : config->imports) {
      const auto pattern = (fs::path(path).parent_path() / import).lexically_normal();
      for (auto& match : matches_of(place.root, pattern)) pending.push_back(std::move(match));
    }
  }
  return {};
}

DiscardFinding discards_in_files(const std::string& root, const std::string& file, bool optional,
                                 std::string_view version) {
  const bool is_first_line = version.starts_with("1.");
  Found found;
  const auto failure =
      visit_runtime_config({.root = root, .file = file, .optional = optional},
                           [&](const RuntimeConfig& config, const std::string& path) {
                             take(found, config, path, is_first_line);
                           });
  if (!failure.empty()) return {.how = failure};
  return conclude(found, file);
}

std::optional<ConfigPlace> find_config_place(const RuntimeProcess& process) {
  ConfigPlace place{.root = process.host_root.empty() ? std::string("/") : process.host_root,
                    .file = kDefaultFile};
  if (process.pid <= 0) return place;
  const auto folder = fmt::format("/proc/{}", process.pid);
  std::ifstream file(folder + "/cmdline", std::ios::binary);
  const std::string command_line{std::istreambuf_iterator<char>(file), {}};
  if (command_line.empty()) return std::nullopt;
  const auto named = config_argument(command_line);
  // What containerd itself sees is the truth; another process's root takes CAP_SYS_PTRACE to see.
  if (open_in_root(folder + "/root", "/", O_PATH)) place.root = folder + "/root";
  if (!named) return place;
  std::error_code error;
  place.optional = false;
  place.file = fs::path(*named).is_relative() ? fs::read_symlink(folder + "/cwd", error) / *named
                                              : fs::path(*named);
  return place;
}

DiscardFinding discards_by_config(const RuntimeProcess& process) {
  const auto place = find_config_place(process);
  if (!place) return {.how = "its command line can't be read"};
  return discards_in_files(place->root, place->file, place->optional, process.version);
}

}  // namespace hagring::containerd
