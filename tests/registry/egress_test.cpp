// SPDX-License-Identifier: Apache-2.0
// A client that had asked an egress proxy: origins are asked for by name, the dialer's way.
#include <gmock/gmock.h>

#include "registry/origin_check.hpp"
#include "tests/registry/mirror_fixture.hpp"
#include "userspace/egress/error.hpp"

namespace hagring::registry {
namespace {

struct EgressTest : MirrorTest {
  EgressTest() {
    about.original = {asio::ip::make_address("203.0.113.9"), 3128};
    about.proxied_port = 443;
  }
};

TEST_F(EgressTest, OriginBehindAProxyIsDialledByNameForTls) {
  const auto digest = origin.add("content");
  EXPECT_EQ(get_blob(digest).body, "content");
  ASSERT_EQ(dialer.dialled.size(), 1U);
  EXPECT_EQ(dialer.dialled[0].host, "registry-1.docker.io");
  EXPECT_EQ(dialer.dialled[0].port, 443);
  EXPECT_TRUE(dialer.dialled[0].tls);
  EXPECT_FALSE(dialer.dialled[0].preferred);
  EXPECT_EQ(last_pull().registry, "docker.io");
}

TEST_F(EgressTest, PeersAreNeverReachedByAProxy) {
  auto& peer = add_peer();
  const auto digest = peer.add("content");
  dialer.proxy = PlainProxy{.host = "proxy.test", .port = 3128};
  EXPECT_EQ(get_blob(digest).body, "content");
  ASSERT_EQ(dialer.dialled.size(), 1U);
  EXPECT_EQ(dialer.dialled[0].preferred, peer.server.endpoint());
  EXPECT_FALSE(dialer.dialled[0].tls);
  EXPECT_TRUE(peer.server.requests.front().target.starts_with("/v2/"));
}

TEST_F(EgressTest, PeersAnswerWhereTheProxyDoesNot) {
  auto& peer = add_peer();
  const auto digest = peer.add("content");
  peer.tag("library/nginx/manifests/1", digest);
  dialer.names.clear();
  EXPECT_EQ(ask("GET", "/v2/library/nginx/manifests/1").body, "content");
  dialer.refusal = egress::Errc::wants_credentials;
  const auto reply = ask("GET", "/v2/library/nginx/manifests/2");
  EXPECT_EQ(reply.status, 502U);
  EXPECT_THAT(reply.body, testing::HasSubstr("proxy wants credentials"));
}

struct PlainEgressTest : EgressTest {
  PlainEgressTest() {
    policy.add("http://plain.test:5000");
    about.host = "plain.test";
    about.tls = false;
    about.proxied_port = 5000;
    dialer.names["proxy.test"] = proxy.server.endpoint();
    dialer.proxy = PlainProxy{.host = "proxy.test", .port = 3128, .authorization = "Basic abc"};
  }
  ~PlainEgressTest() override { test::run(context, proxy.server.drain()); }

  test::FakeRegistry proxy{context, clock};
};

TEST_F(PlainEgressTest, ProxyIsAskedForAbsoluteUrlsWithItsCredentials) {
  proxy.server.handler = [](http::Connection& connection,
                            http::Request request) -> awaitable<bool> {
    co_return (co_await connection.write_response_with({.status = 200}, request.target))
        .has_value();
  };
  const http::Headers headers{{"Host", "plain.test:5000"}, {"Authorization", "Bearer t"}};
  EXPECT_EQ(ask("GET", "/v2/a/tags/list?n=1", headers).body,
            "http://plain.test:5000/v2/a/tags/list?n=1");
  ASSERT_EQ(dialer.dialled.size(), 1U);
  EXPECT_EQ(dialer.dialled[0].host, "proxy.test");
  EXPECT_EQ(dialer.dialled[0].port, 3128);
  const auto& request = proxy.server.requests.front();
  EXPECT_EQ(request.headers.get("Proxy-Authorization"), "Basic abc");
  EXPECT_EQ(request.headers.get("Authorization"), "Bearer t");
  EXPECT_EQ(request.headers.get("Host"), "plain.test:5000");
  EXPECT_EQ(ask("GET", "/v2/", headers).body, "http://plain.test:5000/v2/");
  EXPECT_EQ(proxy.server.connections, 1);
}

TEST_F(PlainEgressTest, WithoutAProxyTheServerIsAskedItself) {
  dialer.proxy.reset();
  dialer.names["plain.test"] = proxy.server.endpoint();
  const auto digest = proxy.add("content");
  const auto reply = ask("GET", "/v2/a/blobs/" + digest.to_string(), {{"Host", "plain.test:5000"}});
  EXPECT_EQ(reply.body, "content");
  EXPECT_FALSE(proxy.server.requests.front().headers.contains("Proxy-Authorization"));
  EXPECT_TRUE(proxy.server.requests.front().target.starts_with("/v2/"));
}

TEST_F(EgressTest, CheckTellsAProxyThatRefusesFromAnOriginThatIsUnreachable) {
  const Destination behind{.preferred = {}, .host = "registry-1.docker.io", .port = 443};
  OriginCheck check(clock, dialer, client_tls.get(), {.unreachable = Duration::zero()});
  EXPECT_EQ(test::run(context, check.inspect(behind)), OriginVerdict::verified);
  check.forget("registry-1.docker.io", 443);
  for (const auto& [refusal, verdict] : {
           std::pair{egress::Errc::wants_credentials, OriginVerdict::refused_by_proxy},
           std::pair{egress::Errc::refused, OriginVerdict::refused_by_proxy},
           std::pair{egress::Errc::failed, OriginVerdict::unreachable},
       }) {
    dialer.refusal = refusal;
    EXPECT_EQ(test::run(context, check.inspect(behind)), verdict) << dialer.refusal.message();
  }
  EXPECT_TRUE(dialer.dialled.back().tls);
}

}  // namespace
}  // namespace hagring::registry
