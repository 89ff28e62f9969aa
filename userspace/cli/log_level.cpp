// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/log_level.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "userspace/base/log.hpp"
#include "userspace/cli/admin_client.hpp"
#include "userspace/cli/json_text.hpp"

namespace hagring::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;
constexpr auto kLimit = std::chrono::seconds(10);

}  // namespace

int log_level(const LogLevelOptions& options) {
  const bool change = !options.level.empty();
  if (change && !log::level_named(options.level)) {
    std::fprintf(stderr, "hagring: '%s' is not a level: trace, debug, info, warning or error\n",
                 options.level.c_str());
    return kBadUsage;
  }
  const auto target = change ? "/log-level?level=" + options.level : std::string("/log-level");
  const auto reply = ask_agent_or_tell(options.socket, target, kLimit, change ? "POST" : "GET");
  if (!reply) return kNoAgent;
  if (reply->status != 200) {
    std::fprintf(stderr, "hagring: the agent answers %u: %s. Is it of another version?\n",
                 reply->status, reply->document.c_str());
    return kFailed;
  }
  const auto shown =
      options.json ? reply->document : text(nlohmann::json::parse(reply->document), "level");
  std::printf("%s\n", shown.c_str());
  return 0;
}

}  // namespace hagring::cli
