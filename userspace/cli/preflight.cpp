// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/preflight.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace hagring::cli {
namespace {

using preflight::Check;
using preflight::Checks;
using preflight::Level;

struct Shown {
  std::string_view word;
  std::string_view colour;  ///< ECMA-48, "Select Graphic Rendition"
};

Shown shown(Level level) {
  switch (level) {
    case Level::ok:
      return {"ok", "\x1b[32m"};
    case Level::warning:
      return {"warning", "\x1b[33m"};
    case Level::failure:
      break;
  }
  return {"failure", "\x1b[31m"};
}

std::size_t count(const Checks& checks, Level level) {
  return static_cast<std::size_t>(std::ranges::count(checks, level, &Check::level));
}

}  // namespace

std::string render_preflight(const Checks& checks, bool colour) {
  std::size_t width = 0;
  for (const auto& check : checks) width = std::max(width, check.name.size());
  std::string text;
  for (const auto& check : checks) {
    const auto [word, code] = shown(check.level);
    text += fmt::format("{}{:<8}{} {:<{}}  {}\n", colour ? code : "", word, colour ? "\x1b[0m" : "",
                        check.name, width, check.found);
    if (!check.advice.empty()) text += fmt::format("{:>{}}→ {}\n", "", width + 11, check.advice);
  }
  const auto failures = count(checks, Level::failure);
  const auto warnings = count(checks, Level::warning);
  return text + (failures > 0 ? fmt::format("{} of {} checks failed: the agent can't do its work\n",
                                            failures, checks.size())
                              : fmt::format("the agent can run here; {} warnings\n", warnings));
}

std::string preflight_json(const Checks& checks) {
  using Json = nlohmann::ordered_json;
  auto list = Json::array();
  for (const auto& check : checks) {
    Json entry{{"name", check.name}, {"level", shown(check.level).word}, {"found", check.found}};
    if (!check.advice.empty()) entry["advice"] = check.advice;
    list.push_back(std::move(entry));
  }
  const Json document{{"ok", count(checks, Level::failure) == 0}, {"checks", std::move(list)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int show_preflight(const Checks& checks, bool json) {
  const bool colour = ::isatty(STDOUT_FILENO) == 1;
  std::fputs((json ? preflight_json(checks) : render_preflight(checks, colour)).c_str(), stdout);
  return count(checks, Level::failure) == 0 ? 0 : 1;
}

}  // namespace hagring::cli
