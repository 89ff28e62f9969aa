// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hagring::cli {

/// A member of `object` for people: strings as they are, other values as JSON, `-` for what isn't
/// there.
inline std::string text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

/// Bytes as people read them: `12.3 MiB`.
std::string size_text(double bytes);

/// A request that has ended, of a status document's `recent`.
std::string recent_line(const nlohmann::json& pull);

}  // namespace hagring::cli
