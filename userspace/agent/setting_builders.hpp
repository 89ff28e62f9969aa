// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "userspace/agent/config.hpp"
#include "userspace/agent/setting_value.hpp"

namespace hagring::agent {

// How the table of settings is written (settings.cpp): each of these declares one setting from a
// member of Config.

using Texts = std::vector<std::string>;

/// Declares a setting of one value from a member of Config, a reader and a writer.
template <typename T, typename Read, typename Show>
Setting single(std::string name, std::string placeholder, std::string help, T Config::* member,
               Read read, Show show) {
  return {std::move(name),
          std::move(placeholder),
          std::move(help),
          false,
          [member, read](Config& config, const Texts& texts) {
            config.*member = static_cast<T>(read(texts.back()));
          },
          [member, show](const Config& config) { return std::string(show(config.*member)); }};
}

template <typename T, typename Read, typename Show>
Setting list(std::string name, std::string placeholder, std::string help,
             std::vector<T> Config::* member, Read read, Show show) {
  return {std::move(name),
          std::move(placeholder),
          std::move(help),
          true,
          [member, read](Config& config, const Texts& texts) {
            (config.*member).clear();
            for (const auto& text : texts) (config.*member).push_back(read(text));
          },
          [member, show](const Config& config) {
            std::vector<std::string> shown;
            for (const auto& value : config.*member) shown.push_back(show(value));
            return shown.empty() ? std::string("none") : fmt::format("{}", fmt::join(shown, ", "));
          }};
}

inline Setting path(std::string name, std::string help, std::string Config::* member) {
  return single(std::move(name), "PATH", std::move(help), member, read_path,
                [](const std::string& text) { return text.empty() ? "auto" : text; });
}

/// More than anybody means, and little enough for every sum of times.
inline constexpr std::chrono::hours kLongest{24};

inline Setting duration(std::string name, std::string help,
                        std::chrono::milliseconds Config::* member, std::chrono::milliseconds least,
                        std::chrono::milliseconds most = kLongest) {
  return single(
      std::move(name), "TIME", std::move(help), member,
      [least, most](const std::string& text) { return read_duration(text, least, most); },
      write_duration);
}

inline Setting toggle(std::string name, std::string help, bool Config::* member) {
  return single(std::move(name), "true|false", std::move(help), member, read_switch,
                [](bool on) { return on ? "true" : "false"; });
}

inline Setting count(std::string name, std::string help, std::uint64_t Config::* member,
                     std::uint64_t least, std::uint64_t most) {
  return single(
      std::move(name), "N", std::move(help), member,
      [least, most](const std::string& text) { return read_count(text, least, most); },
      [](std::uint64_t value) { return std::to_string(value); });
}

}  // namespace hagring::agent
