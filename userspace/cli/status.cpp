// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/status.hpp"

#include <cstdio>

#include "userspace/cli/admin_client.hpp"

namespace hagring::cli {

int show_status(const StatusOptions& options) {
  const auto reply = ask_agent_or_tell(options.socket, "/status", std::chrono::seconds(10));
  if (!reply || reply->status != 200) return kNoAgent;
  std::fputs((options.json ? reply->document + "\n" : render_status(reply->document)).c_str(),
             stdout);
  return 0;
}

}  // namespace hagring::cli
