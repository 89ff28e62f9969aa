// SPDX-License-Identifier: Apache-2.0
#include "registry/rate_limits.hpp"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

const OriginServer kHub{.host = "registry-1.docker.io"};
const std::string kManifest = "/v2/library/nginx/manifests/1";
const std::string kBlob = "/v2/library/nginx/blobs/sha256:00";

http::Request request(std::string target, std::string authorization = "",
                      std::string method = "GET") {
  return {.method = std::move(method),
          .target = std::move(target),
          .headers = {{"Authorization", std::move(authorization)}}};
}

http::Response too_many(std::string retry_after = "60") {
  return {.status = 429,
          .headers = {{"Retry-After", std::move(retry_after)},
                      {"Docker-RateLimit-Source", "192.0.2.1"}}};
}

struct RateLimitsTest : testing::Test {
  bool limited(const http::Request& which) { return limits.limits(kHub, which); }
  void refuse(const http::Request& which, std::string retry_after = "60") {
    auto response = too_many(std::move(retry_after));
    if (limits.learn(kHub, which, response)) limits.remember(kHub, which, {response, "body"});
  }

  test::ManualClock clock;
  RateLimits limits{clock};
};

TEST_F(RateLimitsTest, HoldForAsLongAsTheServerSays) {
  EXPECT_FALSE(limited(request(kManifest)));
  refuse(request(kManifest));
  EXPECT_TRUE(limited(request("/v2/another/manifests/2")));
  EXPECT_TRUE(limited(request(kManifest, "", "HEAD")));
  clock.advance(59s);
  EXPECT_TRUE(limited(request(kManifest)));
  EXPECT_EQ(limits.all().front().remaining, 1s);
  EXPECT_EQ(limits.all().front().source, "192.0.2.1");
  clock.advance(1s);
  EXPECT_FALSE(limited(request(kManifest)));
  EXPECT_TRUE(limits.all().empty());
}

TEST_F(RateLimitsTest, AreOfOneServerOneUserAndOneKind) {
  refuse(request(kManifest, "Basic a"));
  EXPECT_FALSE(limited(request(kManifest, "Basic b")));
  EXPECT_FALSE(limited(request(kManifest)));
  EXPECT_FALSE(limited(request(kBlob, "Basic a")));
  EXPECT_FALSE(limits.limits({.host = "ghcr.io"}, request(kManifest, "Basic a")));
  EXPECT_TRUE(limited(request(kManifest, "Basic a")));
}

TEST_F(RateLimitsTest, EndWithAnAnswerThatCounts) {
  refuse(request(kManifest));
  limits.learn(kHub, request(kManifest, "", "HEAD"), {.status = 200});
  EXPECT_TRUE(limited(request(kManifest)));
  limits.learn(kHub, request(kManifest), {.status = 404});
  EXPECT_TRUE(limited(request(kManifest)));
  limits.learn(kHub, request(kManifest), {.status = 200});
  EXPECT_FALSE(limited(request(kManifest)));
}

TEST_F(RateLimitsTest, NothingLeftSparesWhatCounts) {
  const http::Response last{
      .status = 200,
      .headers = {{"RateLimit-Limit", "100;w=21600"}, {"RateLimit-Remaining", "0;w=21600"}}};
  EXPECT_FALSE(limits.learn(kHub, request(kManifest), last));
  EXPECT_TRUE(limited(request(kManifest)));
  EXPECT_FALSE(limited(request(kManifest, "", "HEAD")));
  EXPECT_FALSE(limits.all().front().refused);
}

TEST_F(RateLimitsTest, AnswerStandsForTheSameRequestOnly) {
  refuse(request(kManifest));
  clock.advance(2500ms);
  const auto answer = limits.remembered(kHub, request(kManifest));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response.status, 429U);
  EXPECT_EQ(answer->response.headers.get("Retry-After"), "58");
  EXPECT_EQ(answer->body, "body");
  EXPECT_FALSE(limits.remembered(kHub, request("/v2/library/nginx/manifests/2")));
  EXPECT_FALSE(limits.remembered(kHub, request(kManifest, "Basic a")));
  EXPECT_FALSE(limits.remembered(kHub, request(kManifest, "", "HEAD")));
  clock.advance(6s);
  EXPECT_FALSE(limits.remembered(kHub, request(kManifest)));
  EXPECT_TRUE(limited(request(kManifest)));
}

TEST_F(RateLimitsTest, AnswerThatDoesNotSayHowLongIsNotRepeated) {
  refuse(request(kManifest), "soon");
  EXPECT_FALSE(limits.remembered(kHub, request(kManifest)));
  EXPECT_TRUE(limited(request(kManifest)));
  refuse(request(kBlob), "2");
  clock.advance(2s);
  EXPECT_FALSE(limits.remembered(kHub, request(kBlob)));
}

TEST_F(RateLimitsTest, OnlyReadsAreRepeated) {
  refuse(request(kManifest, "", "DELETE"));
  EXPECT_FALSE(limits.remembered(kHub, request(kManifest, "", "DELETE")));
}

TEST_F(RateLimitsTest, MemoryIsBounded) {
  RateLimits small(clock, {.limits = 2, .answers = 2, .answer_bytes = 100});
  for (const auto* user : {"a", "b", "c"}) {
    const auto which = request(kManifest, user);
    EXPECT_TRUE(small.learn(kHub, which, too_many()));
    small.remember(kHub, which, {too_many(), "body"});
    clock.advance(1s);
  }
  EXPECT_EQ(small.all().size(), 2U);
  EXPECT_FALSE(small.limits(kHub, request(kManifest, "a")));
  EXPECT_FALSE(small.remembered(kHub, request(kManifest, "a")));
  EXPECT_TRUE(small.remembered(kHub, request(kManifest, "c")));
  small.remember(kHub, request(kManifest, "d"), {too_many(), std::string(100, 'x')});
  EXPECT_FALSE(small.remembered(kHub, request(kManifest, "d")));
}

}  // namespace
}  // namespace hagring::registry
