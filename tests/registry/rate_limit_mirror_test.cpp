// SPDX-License-Identifier: Apache-2.0
// Pulls while the origin limits their rate, or while its token service is down.
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

constexpr auto kTarget = "/v2/library/nginx/manifests/";

struct LimitingOriginTest : MirrorTest {
  LimitingOriginTest() {
    auto& peer = add_peer();
    peer.tag("library/nginx/manifests/1", peer.add(R"({"schemaVersion":2})"));
    origin.behaviour.status = 429;
    origin.behaviour.headers = {{"Retry-After", "120"}, {"X-Own", "kept"}};
  }
  Reply head(std::string tag) { return ask("HEAD", kTarget + std::move(tag)); }
  Reply get(std::string tag) { return ask("GET", kTarget + std::move(tag)); }
};

TEST_F(LimitingOriginTest, IsNotAskedForTagsThatPeersHave) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(head("1").status, 200U);
  EXPECT_EQ(get("1").status, 200U);
  EXPECT_EQ(origin.server.requests.size(), 1U);
  EXPECT_EQ(limits.all().size(), 1U);
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(LimitingOriginTest, ItsOwnAnswerIsTheClientsAndStandsForRepetitions) {
  for (int i = 0; i < 6; ++i) {
    const auto reply = head("unknown");
    EXPECT_EQ(reply.status, 429U);
    EXPECT_THAT(reply.header("Retry-After"), testing::AnyOf("120", "119", "118"));
    EXPECT_EQ(reply.header("X-Own"), "kept");
  }
  EXPECT_EQ(origin.server.requests.size(), 1U);
  EXPECT_EQ(head("other").status, 429U);
  EXPECT_EQ(origin.server.requests.size(), 2U);
}

TEST_F(LimitingOriginTest, BodiesAreRepeatedToo) {
  const auto digest = Digest::parse("sha256:" + std::string(64, '0')).value();
  with_client([&](http::Connection& connection) -> awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      http::Request request{.target = kTarget + digest.to_string(),
                            .headers = {{"Host", about.host}}};
      (void)co_await connection.write_request(request);
      (void)co_await connection.finish_body();
      const auto response = co_await connection.read_response("GET");
      EXPECT_EQ(response.value().status, 429U);
      EXPECT_TRUE(response.value().keep_alive);
      Bytes buffer(100);
      const auto size = co_await connection.read_body(buffer);
      EXPECT_EQ(as_text(ByteView(buffer).first(size.value())), "refused");
      EXPECT_TRUE(co_await connection.skip_body(0));
    }
  });
  EXPECT_EQ(origin.server.requests.size(), 1U);
}

TEST_F(LimitingOriginTest, BlobsOfAPullUnderWayAreStillAskedFor) {
  EXPECT_EQ(head("unknown").status, 429U);
  origin.behaviour = {};
  EXPECT_EQ(get_blob(origin.add("blob")).body, "blob");
}

TEST_F(LimitingOriginTest, LargeOrSlowErrorPagesReachTheClient) {
  const std::string page(20'000, 'x');
  origin.server.handler = [&](http::Connection& connection, http::Request) -> awaitable<bool> {
    const http::Response response{.status = 429, .headers = {{"Retry-After", "9"}}};
    co_return (co_await connection.write_response_with(response, page)).has_value();
  };
  const auto digest = Digest::parse("sha256:" + std::string(64, '0')).value();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(get_blob(digest).body, page);
  EXPECT_EQ(origin.server.requests.size(), 2U);
}

struct TokenServiceTest : MirrorTest {
  TokenServiceTest() {
    auto& peer = add_peer();
    peer.tag("library/nginx/manifests/1", peer.add(R"({"schemaVersion":2})"));
    origin.behaviour.status = 401;
    origin.behaviour.headers = {
        {"WWW-Authenticate", R"(Bearer realm="https://auth.test/token",service="s")"}};
  }
  Reply head() { return ask("HEAD", "/v2/library/nginx/manifests/1"); }
};

TEST_F(TokenServiceTest, ThatIsDownLosesNoPullThatPeersCanServe) {
  EXPECT_EQ(head().status, 401U);
  breaker.failed({.host = "auth.test"}, Trouble::unreachable, "timed out", {});
  EXPECT_EQ(head().status, 200U);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  breaker.reached({.host = "auth.test"});
  EXPECT_EQ(head().status, 401U);
}

TEST_F(TokenServiceTest, ThatIsDownIsStillTheAnswerWhereNobodyElseHasOne) {
  breaker.failed({.host = "auth.test"}, Trouble::unreachable, "timed out", {});
  const auto reply = ask("HEAD", "/v2/library/nginx/manifests/unknown");
  EXPECT_EQ(reply.status, 401U);
  EXPECT_THAT(reply.header("WWW-Authenticate"), testing::HasSubstr("auth.test"));
}

TEST_F(TokenServiceTest, OnAnotherPortIsAnother) {
  breaker.failed({.host = "auth.test", .port = 8443}, Trouble::unreachable, "timed out", {});
  breaker.failed({.host = "auth.test", .tls = false}, Trouble::unreachable, "timed out", {});
  EXPECT_EQ(head().status, 401U);
}

}  // namespace
}  // namespace hagring::registry
