// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/log_level_page.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "userspace/base/log.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {

PageAnswer log_level_now() {
  return {200, fmt::format(R"({{"level":"{}"}})", log::to_string(log::current_level()))};
}

PageAnswer set_log_level(std::string_view query) {
  const auto name = http::query_value(query, "level");
  const auto level = name ? log::level_named(*name) : std::nullopt;
  if (!level) return {400, R"({"error":"level must be trace, debug, info, warning or error"})"};
  const auto before = log::current_level();
  log::set_level(*level);
  // At a level that shows it, whichever way it goes.
  log::line(std::max(*level, log::Level::info), "admin", "log level {}, was {}",
            log::to_string(*level), log::to_string(before));
  return log_level_now();
}

}  // namespace hagring::agent
