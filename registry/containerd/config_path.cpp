// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/config_path.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "registry/containerd/cri_probe.hpp"
#include "registry/containerd/runtime_config.hpp"

namespace hagring::containerd {

using nlohmann::json;

ConfigPath usable_config_path(std::string_view text, std::string how) {
  if (text.empty()) return {.how = how + ": it has no config_path"};
  if (text.find(':') != std::string_view::npos) {
    return {.how = fmt::format("{}: its config_path names several directories ({})", how, text)};
  }
  if (!text.starts_with('/')) {
    return {.how = fmt::format("{}: its config_path is no absolute path ({})", how, text)};
  }
  return {.directory = std::string(text), .how = std::move(how)};
}

std::optional<std::string> config_path_in_status(std::string_view config_json) {
  const auto config = json::parse(config_json, nullptr, false);
  if (!config.is_object()) return std::nullopt;
  const auto section = config.find("registry");
  if (section == config.end() || !section->is_object()) return std::nullopt;
  const auto setting = section->find("configPath");
  if (setting == section->end() || !setting->is_string()) return std::nullopt;
  return setting->get<std::string>();
}

awaitable<ConfigPath> find_config_path(RuntimeProcess process) {
  CriProbe cri(process.socket);
  if (const auto config = co_await cri.configuration()) {
    if (const auto path = config_path_in_status(*config)) {
      co_return usable_config_path(*path, "its CRI status says so");
    }
  }
  const auto place = find_config_place(process);
  if (!place) co_return ConfigPath{.how = "its command line can't be read"};
  std::string path;
  auto how = place->file + " doesn't set it";
  const auto failure =
      visit_runtime_config(*place, [&](const RuntimeConfig& config, const std::string& file) {
        if (!config.config_path) return;
        path = *config.config_path;
        how = file + " says so";
      });
  if (!failure.empty()) co_return ConfigPath{.how = failure};
  co_return usable_config_path(path, std::move(how));
}

}  // namespace hagring::containerd
