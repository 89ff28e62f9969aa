// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/containerd/discard_setting.hpp"

namespace hagring::containerd {

/// What a file of containerd's configuration says, as far as it matters here.
struct RuntimeConfig {
  std::int64_t version = 1;
  bool has_section = false;  ///< the plugin's, in which the setting would be
  std::optional<bool> discards{};
  std::optional<std::string> config_path{};  ///< where registries have their directories
  std::vector<std::string> imports{};        ///< as they are written
};

/// Where a containerd has its configuration.
struct ConfigPlace {
  std::string root{};  ///< below which all paths of it are
  std::string file{};
  bool optional = true;  ///< it needn't be there
};

/// Reads a configuration's text, version 1 and newer. Errors: Errc::bad_message, with what is wrong
/// and in which line.
RpcResult<RuntimeConfig> parse_runtime_config(std::string_view text);

/// What a command line (/proc/<pid>/cmdline: each argument ends with NUL) names with -c or
/// --config; nullopt when it names none.
std::optional<std::string> config_argument(std::string_view command_line);

/// That of a running containerd; nothing when its command line can't be read.
std::optional<ConfigPlace> find_config_place(const RuntimeProcess& process);

/// Reads the file and what it imports, in containerd's order, and shows each to `visit`. Returns
/// what couldn't be read and why; empty: nothing.
std::string visit_runtime_config(
    const ConfigPlace& place,
    const std::function<void(const RuntimeConfig& config, const std::string& file)>& visit);

/// The setting in `file` and what it imports, both below `root`, as containerd `version` reads
/// them: imports come after the file that names them; 2.x merges a plugin's sections, 1.x takes the
/// last whole. A file that needn't be there (`optional`) and isn't leaves the default, which is no.
DiscardFinding discards_in_files(const std::string& root, const std::string& file, bool optional,
                                 std::string_view version);

/// The setting in the files that the process reads.
DiscardFinding discards_by_config(const RuntimeProcess& process);

}  // namespace hagring::containerd
