// SPDX-License-Identifier: Apache-2.0
// Pulls while the origin is down.
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kTarget = "/v2/library/nginx/manifests/";

struct DeadOriginTest : MirrorTest {
  DeadOriginTest() {
    options.tag_patience = origin_limits.connect = 300ms;
    auto& peer = add_peer();
    for (const auto* tag : {"1", "2", "3"}) {
      const auto manifest = std::string(R"({"schemaVersion":2,"tag":)") + tag + "}";
      peer.tag(std::string("library/nginx/manifests/") + tag, peer.add(manifest));
    }
    dialer.black_hole = true;
  }
  Reply get(std::string tag) { return ask("GET", kTarget + std::move(tag)); }
};

TEST_F(DeadOriginTest, CostsOneTimeOut) {
  EXPECT_EQ(get("1").status, 200U);
  EXPECT_GE(last_pull().duration, 300ms);
  EXPECT_EQ(dialer.dialled.size(), 2U);  // the origin and the peer
  for (const auto* tag : {"2", "3"}) {
    EXPECT_EQ(get(tag).status, 200U);
    EXPECT_EQ(last_pull().source, PullSource::peer);
    EXPECT_THAT(last_pull().note, HasSubstr("not answered lately"));
  }
  EXPECT_EQ(dialer.dialled.size(), 2U);
}

TEST_F(DeadOriginTest, ConcurrentRequestsShareItsTimeOut) {
  options.tag_patience = origin_limits.connect = 20s;
  // One of them gives up early; the others would wait for long.
  std::vector<unsigned> statuses(3);
  const auto begin = clock.now();
  TaskGroup tasks(context.get_executor(), "clients");
  for (int i = 0; i < 3; ++i) {
    tasks.spawn([this, i, &statuses]() -> awaitable<void> {
      statuses[i] = (co_await ask_concurrently("GET", kTarget + std::to_string(i + 1))).status;
    });
  }
  tasks.spawn([this]() -> awaitable<void> {
    co_await clock.sleep_for(200ms);
    breaker.failed({.host = about.host}, Trouble::unreachable, "timed out", {});
  });
  test::run(context, tasks.drain());
  EXPECT_THAT(statuses, testing::Each(200U));
  EXPECT_LT(clock.now() - begin, 15s);
}

TEST_F(DeadOriginTest, IsAskedWhenNobodyElseHasTheAnswer) {
  EXPECT_EQ(get("1").status, 200U);
  const auto reply = get("unknown");
  EXPECT_EQ(reply.status, 504U);
  EXPECT_THAT(reply.body, HasSubstr("registry-1.docker.io:443 has not been reached since"));
  dialer.black_hole = false;
  origin.tag("library/nginx/manifests/new", origin.add(R"({"schemaVersion":2})"));
  EXPECT_EQ(get("new").status, 200U);  // it has just come back
  EXPECT_EQ(last_pull().source, PullSource::origin);
  origin.tag("library/nginx/manifests/2", origin.add(R"({"schemaVersion":2,"fresh":1})"));
  EXPECT_THAT(get("2").body, HasSubstr("fresh"));
}

TEST_F(DeadOriginTest, BlobsThatNoPeerHasAreStillAskedForAndProveItsLife) {
  EXPECT_EQ(get("1").status, 200U);
  EXPECT_TRUE(breaker.is_down({.host = about.host}));
  dialer.black_hole = false;
  const auto digest = origin.add("blob");
  EXPECT_EQ(get_blob(digest).body, "blob");
  EXPECT_FALSE(breaker.is_down({.host = about.host}));
}

TEST_F(DeadOriginTest, RangesThatPeersCannotVerifyComeFromThemAtOnce) {
  EXPECT_EQ(get("1").status, 200U);
  const auto digest = peers.front().add(std::string(1000, 'x'));
  const auto dialled = dialer.dialled.size();
  EXPECT_EQ(get_blob(digest, {{"Range", "bytes=500-"}}).status, 206U);
  EXPECT_EQ(dialer.dialled.size(), dialled);  // the peer's connection was kept
  EXPECT_EQ(get_blob(origin.add("y"), {{"Range", "bytes=500-"}}).status, 504U);
}

TEST_F(DeadOriginTest, ServerThatFailsAgainAndAgainIsSpared) {
  dialer.black_hole = false;
  origin.behaviour.status = 503;
  for (int i = 0; i < 8; ++i) EXPECT_EQ(get("1").status, 200U);
  EXPECT_EQ(origin.server.requests.size(), 5U);
  EXPECT_EQ(get("unknown").status, 503U);
}

TEST_F(DeadOriginTest, ChainThatIsRefusedIsNoOutage) {
  dialer.black_hole = false;
  client_tls = test::make_client_context_trusting(nullptr);
  EXPECT_EQ(get("1").status, 200U);
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(DeadOriginTest, RequestGivenUpMakesItSuspect) {
  options.tag_patience = origin_limits.connect = 20s;
  std::vector<OriginServer> suspects;
  breaker.on_probe([&](const OriginServer& server) { suspects.push_back(server); });
  with_client([&](http::Connection& connection) -> awaitable<void> {
    const http::Request request{.target = std::string(kTarget) + "1",
                                .headers = {{"Host", about.host}}};
    (void)co_await connection.write_request(request);
    (void)co_await connection.finish_body();
    co_await clock.sleep_for(1200ms);
    stop();
  });
  EXPECT_EQ(suspects.size(), 1U);
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(MirrorTest, DeadOriginIsAskedForWhatIsPassedThrough) {
  breaker.failed({.host = about.host}, Trouble::unreachable, "timed out", {});
  origin.behaviour.status = 202;
  EXPECT_EQ(ask("DELETE", "/v2/library/nginx/manifests/1").status, 202U);
  EXPECT_TRUE(breaker.outages().empty());
}

}  // namespace
}  // namespace hagring::registry
