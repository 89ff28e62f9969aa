// SPDX-License-Identifier: Apache-2.0
// What a client says to its egress proxy. The fixture's origin is that proxy.
#include <gtest/gtest.h>

#include <future>

#include "tests/proxy/proxy_fixture.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using test::BlockingSocket;
using test::eventually;
using test::TlsEndpoint;

constexpr std::string_view kYes = "HTTP/1.1 200 Connection established\r\n\r\n";

std::string connect_to(const std::string& target) {
  return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target +
         "\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n";
}

class ProxiedSessionTest : public ProxyFixture {
 protected:
  ProxiedSessionTest() { is_egress_proxy = true; }

  /// A client that has been let into a tunnel to `target`.
  BlockingSocket in_tunnel(const std::string& target) {
    auto client = connect();
    client.send(connect_to(target));
    EXPECT_EQ(client.receive(kYes.size()), kYes);
    return client;
  }
};

TEST_F(ProxiedSessionTest, TunnelToAMirroredRegistryIsAnsweredHere) {
  start();
  TlsEndpoint client(make_client_ssl(trusting.get(), "registry.test"),
                     in_tunnel("registry.test:8443"));
  ASSERT_TRUE(client.handshake());
  client.send("GET /v2/ HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive_all(), kReply);
  const auto connection = last_intercepted();
  EXPECT_EQ(connection.host, "registry.test");
  EXPECT_EQ(connection.port, 8443);
  EXPECT_TRUE(connection.proxied);
  EXPECT_TRUE(connection.tls);
  EXPECT_EQ(decided, std::vector<std::string>{"registry.test:8443"});
  EXPECT_EQ(counters().terminated, 1U);
  EXPECT_TRUE(origin_untouched());
}

TEST_F(ProxiedSessionTest, OtherTunnelsAreTheProxysAndSoIsItsNo) {
  decision = {.terminate = false, .reason = SpliceReason::not_mirrored};
  start();
  auto client = connect();
  const auto request = connect_to("elsewhere.test:443");
  client.send(request.substr(0, 20));
  client.send(request.substr(20));
  auto proxy = accept_at_origin();
  EXPECT_EQ(proxy.receive(request.size()), request);
  proxy.send("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  proxy.finish();
  EXPECT_EQ(client.receive_all(), "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  EXPECT_EQ(spliced(SpliceReason::not_mirrored), 1U);
}

TEST_F(ProxiedSessionTest, WhatIsNoTlsInATunnelReachesTheServerByTheRealOne) {
  start();
  auto client = in_tunnel("registry.test:443");
  client.send("SSH-2.0-anything\r\n");
  auto proxy = accept_at_origin();
  const auto request = connect_to("registry.test:443");
  EXPECT_EQ(proxy.receive(request.size()), request);
  proxy.send(kYes);
  EXPECT_EQ(proxy.receive(18), "SSH-2.0-anything\r\n");
  proxy.send("welcome");
  EXPECT_EQ(client.receive(7), "welcome");
  EXPECT_EQ(spliced(SpliceReason::not_tls), 1U);
}

TEST_F(ProxiedSessionTest, AnotherServerNameInATunnelIsNotAnsweredHere) {
  start();
  auto client = in_tunnel("registry.test:443");
  auto handshake = std::async(std::launch::async, [&] {
    return TlsEndpoint(make_client_ssl(trusting.get(), "fronted.test"), std::move(client))
        .handshake();
  });
  auto proxy = accept_at_origin();
  const auto request = connect_to("registry.test:443");
  EXPECT_EQ(proxy.receive(request.size()), request);
  proxy.send(kYes);
  EXPECT_EQ(proxy.receive(1), "\x16");
  proxy.close();
  EXPECT_THROW(handshake.get(), std::system_error);
  EXPECT_EQ(spliced(SpliceReason::not_mirrored), 1U);
}

TEST_F(ProxiedSessionTest, LateNoOfTheProxyEndsTheConnection) {
  start();
  auto client = in_tunnel("registry.test:443");
  client.send("SSH-2.0-anything\r\n");
  auto proxy = accept_at_origin();
  proxy.receive(connect_to("registry.test:443").size());
  proxy.send("HTTP/1.1 403 Filtered\r\n\r\n");
  EXPECT_NE(client.wait_for_error(), 0);
  EXPECT_EQ(counters().dial_failed, 1U);
}

TEST_F(ProxiedSessionTest, ProbeNeverReachesTheProxy) {
  decision = {.terminate = false, .reason = SpliceReason::client_untrusting};
  start();
  TlsEndpoint believer(test::make_nameless_client_ssl(trusting.get()), in_tunnel("192.0.2.1:443"));
  ASSERT_TRUE(believer.handshake());
  believer.send("x");
  EXPECT_EQ(believer.receive_all(), kReply);
  EXPECT_TRUE(last_intercepted().probe);
  EXPECT_EQ(probes, std::vector{true});
  auto other = in_tunnel("192.0.2.1:443");
  other.send("SSH-2.0-anything\r\n");
  EXPECT_NE(other.wait_for_error(), 0);
  EXPECT_TRUE(origin_untouched());
}

TEST_F(ProxiedSessionTest, PlainRequestForAMirroredRegistryIsTheMirrors) {
  start();
  auto client = connect();
  client.send("GET http://plain.test:5000/v2/ HTTP/1.1\r\nHost: plain.test:5000\r\n\r\n");
  EXPECT_EQ(client.receive_all(), kReply);
  const auto connection = last_intercepted();
  EXPECT_EQ(connection.host, "plain.test");
  EXPECT_EQ(connection.port, 5000);
  EXPECT_TRUE(connection.proxied);
  EXPECT_FALSE(connection.tls);
  EXPECT_EQ(requests.back(),
            "GET /v2/ HTTP/1.1\r\nHost: plain.test:5000\r\nConnection: close\r\n\r\n");
}

TEST_F(ProxiedSessionTest, OtherPlainRequestsAreTheProxys) {
  start();
  auto client = connect();
  const std::string request = "GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n";
  client.send(request);
  EXPECT_EQ(accept_at_origin().receive(request.size()), request);
  auto tls = connect();
  tls.send("\x16\x03\x01");
  EXPECT_EQ(accept_at_origin().receive(3), "\x16\x03\x01");
  eventually([&] { return spliced(SpliceReason::not_tls) == 1; });
}

TEST_F(ProxiedSessionTest, SlowDecisionIsTheProxys) {
  decision_hangs = true;
  options.decision_limit = 50ms;
  start();
  auto client = connect();
  const auto request = connect_to("registry.test:443");
  client.send(request);
  EXPECT_EQ(accept_at_origin().receive(request.size()), request);
  EXPECT_EQ(spliced(SpliceReason::undecided), 1U);
}

TEST_F(ProxiedSessionTest, ClientThatLeavesTheTunnelAtOnce) {
  start();
  in_tunnel("registry.test:443").close();
  eventually([&] { return counters().left_early == 1; });
  EXPECT_TRUE(origin_untouched());
}

}  // namespace
}  // namespace hagring::proxy
