// SPDX-License-Identifier: Apache-2.0
#include "registry/rate_limit.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

// 1994-11-06 08:49:37, the date of RFC 9110's examples.
const WallTime kExample = WallTime(std::chrono::seconds(784'111'777));
// 2025-05-01 22:01:18.
const WallTime kNow = WallTime(std::chrono::seconds(1'746'136'878));

TEST(RateLimit, DatesOfHttp) {
  for (const auto* date : {"Sun, 06 Nov 1994 08:49:37 GMT", " Sunday, 06-Nov-94 08:49:37 GMT ",
                           "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_http_date(date), kExample) << date;
  }
  for (const auto* date : {"", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 28:49:37 GMT", "Sun, 06 Nov 99999999 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT and more", "1994-11-06T08:49:37Z"}) {
    EXPECT_FALSE(parse_http_date(date)) << date;
  }
}

TEST(RateLimit, RetryAfterInAllItsForms) {
  EXPECT_EQ(parse_retry_after("60", kNow), 60s);
  EXPECT_EQ(parse_retry_after(" 0 ", kNow), 0s);
  EXPECT_EQ(parse_retry_after("Thu, 01 May 2025 22:02:18 GMT", kNow), 1min + 0s);
  EXPECT_EQ(parse_retry_after("Thu, 01 May 2025 21:00:00 GMT", kNow), 0s);
  EXPECT_EQ(parse_retry_after("1746136938", kNow), 60s);  // Docker Hub's timestamp
  for (const auto* far : {"3601", "999999999", "99999999999999999999999", "1800000000",
                          "18446744073709551615", "Thu, 01 May 2099 22:02:18 GMT"}) {
    EXPECT_EQ(parse_retry_after(far, kNow), kLongestLimit) << far;
  }
  for (const auto* bad : {"", "-1", "+1", "1.5", "1 2", "soon", "0x10"}) {
    EXPECT_FALSE(parse_retry_after(bad, kNow)) << bad;
  }
}

TEST(RateLimit, QuotaAsDockerHubAndDraftsHaveIt) {
  EXPECT_EQ(parse_quota("100;w=21600")->requests, 100U);
  EXPECT_EQ(parse_quota("100;w=21600")->window, 21'600s);
  EXPECT_EQ(parse_quota("0;w=21600")->requests, 0U);
  EXPECT_EQ(parse_quota(" 10, 10 ; burst=1000; w=60, 50;w=1")->window, 60s);
  EXPECT_EQ(parse_quota("5")->requests, 5U);
  EXPECT_FALSE(parse_quota("5")->window);
  EXPECT_FALSE(parse_quota("5;w=x")->window);
  EXPECT_EQ(parse_quota("5;w=999999999999")->window, 24h);
  for (const auto* bad : {"", ";w=1", "x;w=1", "-1;w=1", ","}) EXPECT_FALSE(parse_quota(bad));
}

std::optional<LimitNotice> notice(unsigned status,
                                  std::initializer_list<http::Headers::Field> fields) {
  return limit_notice({.status = status, .headers = fields}, kNow);
}

TEST(RateLimit, NoticesHowLong) {
  EXPECT_FALSE(notice(200, {}));
  EXPECT_FALSE(notice(200, {{"RateLimit-Remaining", "1;w=21600"}, {"Retry-After", "5"}}));
  EXPECT_FALSE(notice(503, {{"Retry-After", "5"}}));

  auto found = notice(429, {{"retry-after", "65"}, {"ratelimit-reset", "7"}});
  EXPECT_TRUE(found->refused && found->stated);
  EXPECT_EQ(found->lasts, 65s);
  found = notice(429, {{"X-Retry-After", "1746136938"}});
  EXPECT_EQ(found->lasts, 60s);
  found = notice(429, {{"Retry-After", "soon"}, {"X-RateLimit-Reset", "1746136888"}});
  EXPECT_TRUE(found->stated);
  EXPECT_EQ(found->lasts, 10s);
  found = notice(429, {{"ratelimit-limit", "100;w=21600"}, {"ratelimit-remaining", "0;w=21600"}});
  EXPECT_TRUE(found->stated);
  EXPECT_EQ(found->lasts, 216s);
  found = notice(429, {{"ratelimit-limit", "0;w=21600"}});
  EXPECT_FALSE(found->stated);
  EXPECT_EQ(found->lasts, 10s);

  found = notice(200, {{"ratelimit-limit", "1;w=21600"}, {"ratelimit-remaining", "0;w=21600"}});
  EXPECT_FALSE(found->refused);
  EXPECT_EQ(found->lasts, kLongestLimit);
}

}  // namespace
}  // namespace hagring::registry
