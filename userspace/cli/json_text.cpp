// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/json_text.hpp"

#include <fmt/format.h>

namespace hagring::cli {

std::string size_text(double bytes) {
  constexpr double kNext = 1024;
  if (bytes < kNext) return fmt::format("{:.0f} B", bytes);
  const char* unit = "";
  for (const auto* larger : {"KiB", "MiB", "GiB"}) {
    if (bytes < kNext) break;
    bytes /= kNext;
    unit = larger;
  }
  return fmt::format("{:.1f} {}", bytes, unit);
}

std::string recent_line(const nlohmann::json& pull) {
  constexpr std::size_t kReference = 26;
  return fmt::format("{}  {} {:<8} {}/{} {}  {} from {}, {} ms{}", text(pull, "time"),
                     text(pull, "status"), text(pull, "kind"), text(pull, "registry"),
                     text(pull, "repository"), text(pull, "reference").substr(0, kReference),
                     size_text(pull.value("bytes", 0.0)), text(pull, "source"),
                     text(pull, "duration_ms"), pull.value("verified", false) ? ", verified" : "");
}

}  // namespace hagring::cli
