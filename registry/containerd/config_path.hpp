// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "registry/containerd/discard_setting.hpp"
#include "userspace/base/asio.hpp"

namespace hagring::containerd {

/// The directory in which a containerd looks for settings of registries (`config_path`).
struct ConfigPath {
  std::string directory{};  ///< as containerd names it; empty: none that can be used
  std::string how{};        ///< where that is known from, or why there is none, for people
};

/// What can be made of a setting's text, empty where it isn't set (from 2.2 on that means two). A
/// path of several directories can't be used: the transfer service (from 2.1 on) takes it for the
/// name of one (containerd issues 12636 and 12808).
ConfigPath usable_config_path(std::string_view text, std::string how);

/// `registry.configPath` of CRI's verbose status, which 1.6 and 1.7 have and 2.x doesn't; nothing
/// when it isn't there.
std::optional<std::string> config_path_in_status(std::string_view config_json);

/// Asks CRI's status, then the configuration files. Runs on the caller's executor.
awaitable<ConfigPath> find_config_path(RuntimeProcess process);

}  // namespace hagring::containerd
