// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/discard_setting.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "registry/containerd/cri_probe.hpp"
#include "registry/containerd/runtime_config.hpp"

namespace hagring::containerd {
namespace {

using nlohmann::json;

DiscardFinding found(bool discards, std::string how) {
  return {.discards = discards ? Discards::yes : Discards::no, .how = std::move(how)};
}

}  // namespace

std::string_view to_string(Discards discards) {
  switch (discards) {
    case Discards::no:
      return "no";
    case Discards::yes:
      return "yes";
    case Discards::unknown:
      break;
  }
  return "unknown";
}

std::optional<bool> discards_in_status(std::string_view config_json) {
  const auto config = json::parse(config_json, nullptr, false);
  if (!config.is_object()) return std::nullopt;
  const auto section = config.find("containerd");
  if (section == config.end() || !section->is_object()) return std::nullopt;
  const auto setting = section->find("discardUnpackedLayers");
  if (setting == section->end() || !setting->is_boolean()) return std::nullopt;
  return setting->get<bool>();
}

awaitable<DiscardFinding> find_discards(std::shared_ptr<Client> client, RuntimeProcess process) {
  // plugins/cri/images/plugin.go
  const auto exported =
      co_await client->plugin_export("io.containerd.cri.v1", "images", "DiscardUnpackedLayers");
  if (exported) co_return found(*exported == "true", "its images plugin says so");
  CriProbe cri(process.socket);
  if (const auto config = co_await cri.configuration()) {
    if (const auto discards = discards_in_status(*config)) {
      co_return found(*discards, "its CRI status says so");
    }
  }
  co_return discards_by_config(process);
}

}  // namespace hagring::containerd
