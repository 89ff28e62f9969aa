// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "userspace/agent/config.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

/// A scalar as it would be written on the command line.
std::string scalar(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* on = node.as_boolean()) return on->get() ? "true" : "false";
  throw StartError(fmt::format("{}: neither a string, a whole number nor a boolean", where));
}

std::vector<std::string> scalars(const toml::node& node, const std::string& where) {
  std::vector<std::string> texts;
  if (const auto* array = node.as_array()) {
    for (const auto& element : *array) texts.push_back(scalar(element, where));
  } else {
    texts.push_back(scalar(node, where));
  }
  return texts;
}

}  // namespace

ConfigFile read_config_file(const std::string& path) {
  ConfigFile file;
  try {
    for (const auto& [key, node] : toml::parse_file(path)) {
      const std::string name(key.str());
      const auto where = fmt::format("{}, line {}, key '{}'", path, node.source().begin.line, name);
      const auto& known = settings();
      if (std::none_of(known.begin(), known.end(),
                       [&](const auto& setting) { return setting.name == name; })) {
        throw StartError(where + ": unknown; `hagring agent --help` lists the keys");
      }
      file.values[name] = scalars(node, where);
      file.places[name] = where;
    }
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    throw StartError(line == 0 ? fmt::format("{}: {}", path, error.description())
                               : fmt::format("{}, line {}: {}", path, line, error.description()));
  }
  return file;
}

}  // namespace hagring::agent
