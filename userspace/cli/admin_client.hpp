// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "userspace/agent/admin_client.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::cli {

/// Exit code: no agent answers.
inline constexpr int kNoAgent = 3;

using agent::AdminReply;

/// Asks the agent at `socket` for `target`; other methods than GET tell it something. Errors: the
/// system's when nobody is there, Errc::timed_out after `limit`.
Result<AdminReply> ask_agent(const std::string& socket, std::string target, Duration limit,
                             std::string method = "GET");

/// The same. When nobody answers within `limit`, says so on standard error, with what to check, and
/// returns none.
std::optional<AdminReply> ask_agent_or_tell(const std::string& socket, std::string target,
                                            Duration limit, std::string method = "GET");

/// A digest or a reference as a query's value, percent-encoded: nothing but `+` in it needs that
/// (reference grammar).
std::string query_text(const std::string& key);

}  // namespace hagring::cli
