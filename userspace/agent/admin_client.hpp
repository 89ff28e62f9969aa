// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {

/// What the agent answered.
struct AdminReply {
  unsigned status = 0;
  std::string document;
};

/// Sends one request to the agent at the Unix socket `path`. Errors: the system's (ENOENT,
/// ECONNREFUSED: no agent is there; EACCES), Errc::too_large beyond 16 MiB, the connection's. Runs
/// on its caller's executor; the caller limits its time.
awaitable<Result<AdminReply>> ask_admin(std::string path, std::string method, std::string target);

}  // namespace hagring::agent
