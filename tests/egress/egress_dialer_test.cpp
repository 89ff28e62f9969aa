// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/egress_dialer.hpp"

#include <gtest/gtest.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/egress/tunnel.hpp"

namespace hagring::egress {
namespace {

using tcp = asio::ip::tcp;

/// Connects to `endpoint` whatever it is asked for, and remembers what that was.
class RecordingDialer final : public Dialer {
 public:
  explicit RecordingDialer(tcp::endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  awaitable<Result<tcp::socket>> dial(Destination destination) override {
    asked.push_back(std::move(destination));
    tcp::socket socket(co_await asio::this_coro::executor);
    const auto [error] = co_await socket.async_connect(endpoint_, kTuple);
    if (error) co_return error;
    co_return std::move(socket);
  }

  std::vector<Destination> asked;

 private:
  tcp::endpoint endpoint_;
};

class EgressDialerTest : public testing::Test {
 protected:
  EgressDialerTest() { set({{"HTTPS_PROXY", "http://user:secret@proxy.test:3128"}}); }

  void set(const Environment& variables) { egress.set(std::make_shared<ProxySettings>(variables)); }

  /// Dials while a proxy answers the first connection with `answer`; `heard` is what it was sent.
  Result<tcp::socket> dial(Destination destination, std::string answer) {
    TaskGroup proxy(context.get_executor(), "proxy");
    proxy.spawn([&]() -> awaitable<void> {
      auto [accepted, socket] = co_await acceptor.async_accept(kTuple);
      if (accepted) co_return;
      co_await asio::async_read_until(socket, asio::dynamic_buffer(heard), "\r\n\r\n", kTuple);
      co_await asio::async_write(socket, asio::buffer(answer), kTuple);
      served.push_back(std::move(socket));
    });
    return test::run(context, [&]() -> awaitable<Result<tcp::socket>> {
      auto socket = co_await dialer.dial(std::move(destination));
      proxy.cancel();
      co_await proxy.drain();
      co_return socket;
    }());
  }

  asio::io_context context;
  tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
  SystemClock clock;
  RecordingDialer direct{acceptor.local_endpoint()};
  Egress egress;
  EgressDialer dialer{clock, direct, egress};
  std::string heard;
  std::vector<tcp::socket> served;
};

const Destination kRegistry{.preferred = {}, .host = "registry.test", .port = 443, .tls = true};

TEST_F(EgressDialerTest, TunnelIsAskedForWithTheEnvironmentsCredentials) {
  ASSERT_TRUE(dial(kRegistry, "HTTP/1.1 200 Connection established\r\n\r\n"));
  ASSERT_EQ(direct.asked.size(), 1U);
  EXPECT_EQ(direct.asked[0].host, "proxy.test");
  EXPECT_EQ(direct.asked[0].port, 3128);
  EXPECT_FALSE(direct.asked[0].tls);
  EXPECT_EQ(heard,
            "CONNECT registry.test:443 HTTP/1.1\r\nHost: registry.test:443\r\n"
            "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n");
}

TEST_F(EgressDialerTest, ProxysNoIsTold) {
  EXPECT_EQ(dial(kRegistry, "HTTP/1.1 407 Give me more\r\nContent-Length: 2\r\n\r\nno").error(),
            Errc::wants_credentials);
  EXPECT_EQ(dial(kRegistry, "HTTP/1.0 403 Filtered\r\n\r\n").error(), Errc::refused);
  EXPECT_EQ(dial(kRegistry, "HTTP/1.1 502 Bad Gateway\r\n\r\n").error(), Errc::failed);
  EXPECT_TRUE(is_refusal(Errc::refused));
  EXPECT_FALSE(is_refusal(Errc::failed));
}

TEST_F(EgressDialerTest, AnswerThatIsNoneIsRefused) {
  EXPECT_EQ(dial(kRegistry, "SSH-2.0-x\r\n\r\n").error(), hagring::Errc::bad_message);
  EXPECT_EQ(dial(kRegistry, "HTTP/1.1 200 OK\r\n\r\nand more").error(), hagring::Errc::bad_message);
  EXPECT_EQ(dial(kRegistry, "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x')).error(),
            hagring::Errc::too_large);
}

TEST_F(EgressDialerTest, WhatHasNoProxyIsDialledDirectly) {
  set({{"HTTPS_PROXY", "proxy.test:3128"}, {"NO_PROXY", "registry.test"}});
  ASSERT_TRUE(dial(kRegistry, ""));
  EXPECT_EQ(direct.asked[0].host, "registry.test");
}

TEST_F(EgressDialerTest, AddressThatTheClientHasChosenIsDialledDirectly) {
  auto chosen = kRegistry;
  chosen.preferred = tcp::endpoint(asio::ip::make_address("198.51.100.7"), 443);
  ASSERT_TRUE(dial(chosen, ""));
  EXPECT_EQ(direct.asked[0].host, "registry.test");
}

TEST_F(EgressDialerTest, RequestsWithoutTlsGoToTheProxyThemselves) {
  set({{"HTTP_PROXY", "http://user@plain.test:8080"}, {"HTTPS_PROXY", "other.test"}});
  auto plain = kRegistry;
  plain.tls = false;
  const auto proxy = dialer.plain_proxy(plain);
  ASSERT_TRUE(proxy);
  EXPECT_EQ(proxy->host, "plain.test");
  EXPECT_EQ(proxy->port, 8080);
  EXPECT_EQ(proxy->authorization, "Basic dXNlcjo=");
  plain.preferred = tcp::endpoint(asio::ip::make_address("198.51.100.7"), 80);
  EXPECT_FALSE(dialer.plain_proxy(plain));
}

TEST_F(EgressDialerTest, ProxiesOfAnotherKindAreNotPassedBy) {
  set({{"HTTPS_PROXY", "socks5://proxy.test"}, {"HTTP_PROXY", "https://proxy.test"}});
  EXPECT_EQ(dial(kRegistry, "").error(), Errc::unsupported_proxy);
  auto plain = kRegistry;
  plain.tls = false;
  EXPECT_FALSE(dialer.plain_proxy(plain));
  EXPECT_EQ(dial(plain, "").error(), Errc::unsupported_proxy);
  EXPECT_TRUE(direct.asked.empty());
}

TEST(Egress, KnowsWhereTheProxiesAre) {
  Egress egress;
  const tcp::endpoint proxy(asio::ip::make_address("10.0.0.1"), 3128);
  EXPECT_FALSE(egress.proxy_at(proxy));
  egress.set_proxies({{proxy, "proxy.test"}});
  EXPECT_EQ(egress.proxy_at(proxy), "proxy.test");
  EXPECT_FALSE(egress.proxy_at({proxy.address(), 443}));
}

}  // namespace
}  // namespace hagring::egress
