// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "userspace/agent/setting_value.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

std::string upper_name(std::string_view name) {
  std::string upper = "HAGRING_";
  for (const char c : name) upper += c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return upper;
}

/// Whether Kubernetes sets `name` for a Service whose name begins with "hagring"
/// (Kubernetes documentation, "Accessing the Service", environment variables).
bool is_service_link(std::string_view name) {
  const auto ends = [name](std::string_view end) { return name.ends_with(end); };
  if (ends("_SERVICE_HOST") || ends("_SERVICE_PORT") || ends("_PORT")) return true;
  if (name.find("_SERVICE_PORT_") != std::string_view::npos) return true;
  return name.find("_PORT_") != std::string_view::npos &&
         (ends("_TCP") || ends("_UDP") || ends("_ADDR") || ends("_PROTO"));
}

std::string place_of(const std::string& name, std::string_view source, const Places& in_file) {
  if (source == "flag") return "--" + name;
  if (source == "environment") return upper_name(name);
  const auto found = in_file.find(name);
  return found == in_file.end() ? name + " in the configuration file" : found->second;
}

/// Whether `flag` stands in a message, and not as the begin of a longer one.
bool mentions(std::string_view message, std::string_view flag) {
  for (auto at = message.find(flag); at != std::string_view::npos;
       at = message.find(flag, at + 1)) {
    const auto rest = message.substr(at + flag.size());
    if (rest.empty() || (rest.front() != '-' && std::isalpha(rest.front()) == 0)) return true;
  }
  return false;
}

}  // namespace

Values read_environment(const std::vector<std::string>& environment) {
  Values values;
  for (const auto& entry : environment) {
    const auto equals = entry.find('=');
    const auto name = entry.substr(0, equals);
    if (!name.starts_with("HAGRING_") || equals == std::string::npos) continue;
    const auto text = entry.substr(equals + 1);
    if (name == "HAGRING_CONFIG") continue;  // read by the command line, which opens the file
    const auto setting = std::find_if(settings().begin(), settings().end(), [&](const auto& known) {
      return upper_name(known.name) == name;
    });
    if (setting == settings().end()) {
      if (is_service_link(name)) continue;
      throw StartError(fmt::format(
          "environment variable {} is not a setting of hagring: see `hagring agent --help`", name));
    }
    auto& texts = values[setting->name];
    std::size_t begin = 0;
    while (setting->list && text.find(',', begin) != std::string::npos) {
      const auto comma = text.find(',', begin);
      texts.push_back(text.substr(begin, comma - begin));
      begin = comma + 1;
    }
    texts.push_back(text.substr(begin));
  }
  return values;
}

LoadedConfig load_config(const Values& flags, const Values& environment, const ConfigFile& file) {
  LoadedConfig loaded;
  const std::array<std::pair<std::string_view, const Values*>, 3> sources{
      {{"flag", &flags}, {"environment", &environment}, {"file", &file.values}}};
  for (const auto& setting : settings()) {
    for (const auto& [source, values] : sources) {
      const auto found = values->find(setting.name);
      if (found == values->end()) continue;
      const auto where = place_of(setting.name, source, file.places);
      if (!setting.list && found->second.size() != 1) {
        throw StartError(fmt::format("{} takes one value, not {}", where, found->second.size()));
      }
      try {
        setting.read(loaded.config, found->second);
      } catch (const StartError& error) {
        throw StartError(fmt::format("{}: {}", where, error.what()));
      }
      loaded.origins[setting.name] = source;
      loaded.places[setting.name] = where;
      break;
    }
  }
  return loaded;
}

std::string with_places(const LoadedConfig& loaded, const std::string& message) {
  std::string places;
  for (const auto& [name, place] : loaded.places) {
    const auto flag = "--" + name;
    if (place == flag || !mentions(message, flag)) continue;
    places += fmt::format("{}{}", places.empty() ? "" : "; ", place);
  }
  return places.empty() ? message : fmt::format("{} ({})", message, places);
}

std::string describe(const LoadedConfig& loaded) {
  std::string text;
  for (const auto& setting : settings()) {
    const auto origin = loaded.origins.find(setting.name);
    text += fmt::format("{} = {}  ({})\n", setting.name, setting.show(loaded.config),
                        origin == loaded.origins.end() ? "default" : origin->second);
  }
  return text;
}

}  // namespace hagring::agent
