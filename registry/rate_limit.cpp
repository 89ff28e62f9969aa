// SPDX-License-Identifier: Apache-2.0
#include "registry/rate_limit.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

using std::chrono::seconds;

/// Where nothing says how long: a server that counts requests a second has more by then.
constexpr Duration kUntold = seconds(10);
/// Numbers from here on are seconds since 1970 (2001-09-09), not from now on.
constexpr std::uint64_t kFirstTimestamp = 1'000'000'000;

/// Digits only, at least one; what is beyond 64 bits is the greatest number.
std::optional<std::uint64_t> parse_digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

Duration bounded(std::uint64_t count) {
  const auto most = std::chrono::duration_cast<seconds>(kLongestLimit).count();
  return seconds(std::min<std::uint64_t>(count, static_cast<std::uint64_t>(most)));
}

Duration from_now(WallTime when, WallTime now) {
  if (when <= now) return Duration(0);
  return when - now > kLongestLimit ? kLongestLimit
                                    : std::chrono::duration_cast<Duration>(when - now);
}

/// Seconds from now on, or since 1970.
std::optional<Duration> parse_delay(std::string_view text, WallTime now) {
  const auto number = parse_digits(http::trimmed(text));
  if (!number) return std::nullopt;
  if (*number < kFirstTimestamp) return bounded(*number);
  constexpr auto kLast = static_cast<std::uint64_t>(
      std::chrono::duration_cast<seconds>(WallTime::max().time_since_epoch()).count());
  return from_now(WallTime(seconds(std::min(*number, kLast))), now);
}

/// A calendar's day and time of day that exist.
std::optional<WallTime> moment(const std::tm& time) {
  using namespace std::chrono;
  const year_month_day day(year(time.tm_year + 1900), month(static_cast<unsigned>(time.tm_mon + 1)),
                           std::chrono::day(static_cast<unsigned>(time.tm_mday)));
  if (!day.ok() || time.tm_year < 0 || time.tm_year > 300) return std::nullopt;
  return WallTime(sys_days(day)) + hours(time.tm_hour) + minutes(time.tm_min) +
         seconds(time.tm_sec);
}

std::optional<std::string_view> either(const http::Headers& headers, std::string_view name,
                                       std::string_view other) {
  const auto value = headers.get(name);
  return value ? value : headers.get(other);
}

/// How long until one more request is free, as far as the response tells.
std::optional<Duration> told(const http::Headers& headers, WallTime now) {
  if (const auto reset = either(headers, "RateLimit-Reset", "X-RateLimit-Reset")) {
    if (const auto delay = parse_delay(*reset, now)) return delay;
  }
  const auto limit =
      parse_quota(either(headers, "RateLimit-Limit", "X-RateLimit-Limit").value_or(""));
  if (!limit || !limit->window || limit->requests == 0) return std::nullopt;
  const auto window = std::chrono::duration_cast<seconds>(*limit->window).count();
  return seconds(static_cast<std::uint64_t>(window) / limit->requests);
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  const std::string date(http::trimmed(text).substr(0, 64));
  for (const auto* form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
    std::tm time{};
    // The names are those of the C locale, which this process keeps.
    const auto* end = ::strptime(date.c_str(), form, &time);
    if (end == date.c_str() + date.size() && end != nullptr) return moment(time);
  }
  return std::nullopt;
}

std::optional<Duration> parse_retry_after(std::string_view field, WallTime now) {
  if (const auto delay = parse_delay(field, now)) return delay;
  const auto date = parse_http_date(field);
  return date ? std::optional(from_now(*date, now)) : std::nullopt;
}

std::optional<Quota> parse_quota(std::string_view field) {
  std::optional<Quota> quota;
  for (auto element : http::list_elements(field)) {
    const auto semicolon = element.find(';');
    const auto number = parse_digits(http::trimmed(element.substr(0, semicolon)));
    if (!number) return quota;
    if (!quota) quota = Quota{.requests = *number};
    while (element.find(';') != std::string_view::npos) {
      element.remove_prefix(element.find(';') + 1);
      const auto parameter = http::trimmed(element.substr(0, element.find(';')));
      if (!parameter.starts_with("w=") || quota->window) continue;
      if (const auto window = parse_digits(parameter.substr(2))) {
        // A day at the most: it is divided by the limit yet.
        quota->window = seconds(std::min<std::uint64_t>(*window, 86'400));
      }
    }
    if (quota->window) break;
  }
  return quota;
}

std::optional<LimitNotice> limit_notice(const http::Response& response, WallTime now) {
  const auto& headers = response.headers;
  const auto remaining =
      parse_quota(either(headers, "RateLimit-Remaining", "X-RateLimit-Remaining").value_or(""));
  LimitNotice notice{.refused = response.status == 429};
  if (!notice.refused && (!remaining || remaining->requests > 0)) return std::nullopt;
  auto lasts = parse_retry_after(either(headers, "Retry-After", "X-Retry-After").value_or(""), now);
  if (!lasts || !notice.refused) lasts = told(headers, now);
  notice.stated = lasts.has_value();
  notice.lasts = std::min(lasts.value_or(kUntold), kLongestLimit);
  return notice;
}

}  // namespace hagring::registry
