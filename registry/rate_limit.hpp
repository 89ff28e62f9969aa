// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "userspace/base/clock.hpp"
#include "userspace/http/message.hpp"

namespace hagring::registry {

/// The longest that a server can have itself be spared for: it may be wrong, and its own answer
/// tells anew.
inline constexpr Duration kLongestLimit = std::chrono::hours(1);

/// An HTTP-date (RFC 9110, section 5.6.7) in any of its three forms; nullopt for anything else.
std::optional<WallTime> parse_http_date(std::string_view text);

/// Retry-After (RFC 9110, section 10.2.3): seconds or a date, or, as Docker Hub's API has sent it
/// (docker/hub-feedback issue 2459), seconds since 1970. At most kLongestLimit, not below zero.
std::optional<Duration> parse_retry_after(std::string_view field, WallTime now);

/// RateLimit-Limit and RateLimit-Remaining as Docker Hub has them (`100;w=21600`); of a list, as
/// IETF drafts have it (`10, 10;w=60`), the first number and the first window.
struct Quota {
  std::uint64_t requests = 0;
  std::optional<Duration> window{};
};
std::optional<Quota> parse_quota(std::string_view field);

/// What a response says of the server's limits on this client.
struct LimitNotice {
  bool refused = false;  ///< 429: this request was one too many
  Duration lasts{0};     ///< until the server may have more
  bool stated = false;   ///< the server has said so, not we
};

/// nullopt: it says nothing, or that more requests are welcome. Where there is no Retry-After,
/// RateLimit-Reset tells how long it lasts (seconds, or since 1970), or the time in which one more
/// request becomes free (window by limit, 21600 s by 100 on Docker Hub); else 10 s.
std::optional<LimitNotice> limit_notice(const http::Response& response, WallTime now);

}  // namespace hagring::registry
