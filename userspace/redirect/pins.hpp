// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// Throws StartError, with what to do, unless `directory`'s parent is in a BPF file system.
void require_bpf_file_system(const std::string& directory);

/// What the maps are called in the pin directory, and in the object (string literals).
inline constexpr std::string_view kPinnedMaps[] = {"config", "clients",      "rules",
                                                   "flows",  "name_servers", "counters"};

/// Removes what an agent that was killed has left in a pin directory, and the directory if it is
/// empty then; returns the paths. What isn't in a BPF file system, or no map of that name, is left
/// alone. With `dry_run` nothing is removed. Errors: the system's.
Result<std::vector<std::string>> remove_left_pins(const std::string& directory, bool dry_run);

/// The names under which maps are shown in the BPF file system, for bpftool and people.
/// Old pins are always replaced: their contents are worth nothing after their agent's end, and
/// libbpf would take a map over whose sizes fit though its fields have other meanings.
class Pins {
 public:
  struct Map {
    std::string_view name;
    int fd;
  };

  /// Makes `directory` (mode 0700) and pins `maps` there. Throws StartError; then nothing of ours
  /// stays there.
  Pins(std::string directory, std::vector<Map> maps);
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;
  /// Removes those that are still ours, and the directory if it is empty then. Descriptors of the
  /// maps must still be open.
  ~Pins();

 private:
  void pin_all();
  void remove();
  std::string path(const Map& map) const { return directory_ + "/" + std::string(map.name); }

  std::string directory_;
  std::vector<Map> maps_;
};

}  // namespace hagring::redirect
