// SPDX-License-Identifier: Apache-2.0
// Those who don't belong to the mesh, at its peer port.
#include <gmock/gmock.h>

#include "dht/net/host_certificate.hpp"
#include "tests/agent/gated_peer.hpp"
#include "tests/support/test_certificate.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRequest = "GET /v2/ HTTP/1.1\r\nHost: peer\r\n\r\n";

struct MeshStranger : GatedPeer {
  /// What curl does, with OpenSSL's own client: shakes hands as far as it goes, asks, and gives
  /// back what is under TLS. The server must have closed.
  std::string ask_over_tls(SSL_CTX* tls, std::string_view alpn) {
    auto* ssl = SSL_new(tls);
    SSL_set_connect_state(ssl);
    if (!alpn.empty()) {
      SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                          static_cast<unsigned>(alpn.size()));
    }
    TlsStream stream(ssl, connect());
    const auto talk = [&]() -> awaitable<std::string> {
      std::string all;
      if (!co_await stream.handshake()) co_return all;
      (void)co_await stream.write(as_bytes(kRequest));
      Bytes buffer(1000);
      while (const auto size = co_await stream.read_some(buffer)) {
        all += as_text(ByteView(buffer).first(*size));
      }
      co_return all;
    };
    return test::run(context, talk());
  }

  void expect_turned_away(std::uint64_t count) {
    wait_until([&] { return server->connections().turned_away == count; });
    wait_until([this] { return server->open_connections() == 0; });
    const auto& requests = server->requests();
    EXPECT_EQ(requests.served + requests.not_found + requests.refused + requests.failed, 0U);
    EXPECT_TRUE(get()) << "a member is kept out";
  }

  void use(X509* certificate, EVP_PKEY* key_of_it) {
    SSL_CTX_use_certificate(curl.get(), certificate);
    SSL_CTX_use_PrivateKey(curl.get(), key_of_it);
  }

  /// Starts the server and tries it, whatever protocol is offered.
  void expect_nothing_over_tls() {
    start();
    for (const auto& alpn : alpn_lists) EXPECT_EQ(ask_over_tls(curl.get(), alpn), "") << alpn;
    expect_turned_away(alpn_lists.size());
  }

  SslContext curl{SSL_CTX_new(TLS_client_method())};
  const std::vector<std::string> alpn_lists{"", "\x08http/1.1", "\x06libp2p",
                                            std::string("\x10") + dht::kMemberProtocol};
};

TEST_F(MeshStranger, WithoutACertificateGetsNothing) { expect_nothing_over_tls(); }

TEST_F(MeshStranger, WithACertificateOfItsOwnMakingGetsNothing) {
  const auto own = test::make_certificate("stranger");
  use(own.certificate.get(), own.key.get());
  expect_nothing_over_tls();
}

TEST_F(MeshStranger, WithALibP2pIdentityAloneGetsNothing) {
  const auto own = dht::make_host_certificate(member_identity, clock.wall());
  use(own.certificate.get(), own.key.get());
  expect_nothing_over_tls();
}

TEST_F(MeshStranger, WithAMembersIdentityAndAnotherMeshsKeyGetsNothing) {
  start();
  MeshGate gate(member_identity, filled(8), clock);
  registry::UpstreamClient client(clock, dialer, nullptr, {}, &gate);
  EXPECT_FALSE(get(client, named()));
  expect_turned_away(1);
}

TEST_F(MeshStranger, OverPlainHttpGetsNoHttp) {
  start();
  EXPECT_THAT(raw(kRequest), testing::Not(testing::HasSubstr("HTTP")));
  EXPECT_THAT(raw(std::string(200'000, 'a')), testing::Not(testing::HasSubstr("HTTP")));
  expect_turned_away(2);
}

TEST_F(MeshStranger, WhoSaysNothingOrTooLittleIsLeftAtTheDeadline) {
  options.handshake_limit = 100ms;
  start();
  // The beginning of a ClientHello of 512 bytes.
  for (const std::string_view bytes :
       {std::string_view(), std::string_view("\x16\x03\x01\x02\0\x01", 6)}) {
    const auto begun = clock.now();
    EXPECT_EQ(raw(bytes), "");
    EXPECT_GE(clock.now() - begun, 100ms);
  }
  expect_turned_away(2);
}

TEST_F(MeshStranger, WhoDribblesIsLeftAtTheDeadline) {
  options.handshake_limit = 100ms;
  start();
  const auto stream = connect();
  const std::string hello("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 11);
  EXPECT_LT(test::run(context, trickle(*stream, hello + std::string(500, 'x'))), 500);
  expect_turned_away(1);
}

TEST_F(MeshStranger, StalledHandshakesKeepNoMemberOut) {
  options.handshake_limit = 1h;
  options.max_connections_per_address = 64;
  start();
  std::vector<std::unique_ptr<ByteStream>> stalled;
  for (int i = 0; i < 64; ++i) stalled.push_back(connect());
  wait_until([this] { return server->open_connections() == 64; });
  // Same address: the oldest ones give way, each newcomer's place is settled.
  for (int i = 0; i < 3; ++i) {
    registry::UpstreamClient client(clock, dialer, nullptr, {}, &member_gate);
    ASSERT_TRUE(get(client, named())) << i;
  }
  EXPECT_EQ(server->connections().refused, 0U);
  EXPECT_LE(server->open_connections(), 64U);
  Bytes byte(1);
  EXPECT_FALSE(test::run(context, stalled.front()->read_some(byte)));
}

TEST_F(MeshStranger, MembersAreNotDisplacedByStrangers) {
  options.max_connections_per_address = 2;
  start();
  registry::UpstreamClient first(clock, dialer, nullptr, {}, &member_gate);
  registry::UpstreamClient second(clock, dialer, nullptr, {}, &member_gate);
  ASSERT_TRUE(get(first, named()) && get(second, named()));
  EXPECT_EQ(raw(""), "");
  EXPECT_EQ(server->connections().refused, 1U);
  ASSERT_TRUE(get(first, named()) && get(second, named()));
  EXPECT_EQ(server->connections().accepted, 2U);
}

TEST_F(MeshStranger, DrainDoesNotWaitForHandshakes) {
  options.handshake_limit = options.inactivity_limit = options.drain_limit = 1h;
  start();
  std::vector<std::unique_ptr<ByteStream>> stalled;
  for (int i = 0; i < 10; ++i) stalled.push_back(connect());
  wait_until([this] { return server->open_connections() == 10; });
  test::run(context, server->drain());
  EXPECT_EQ(server->open_connections(), 0U);
  EXPECT_EQ(server->connections().turned_away, 0U);
}

TEST_F(MeshStranger, ACutEndsHandshakes) {
  options.handshake_limit = options.inactivity_limit = 1h;
  start();
  const auto stalled = connect();
  wait_until([this] { return server->open_connections() == 1; });
  server->cut();
  wait_until([this] { return server->open_connections() == 0; });
}

}  // namespace
}  // namespace hagring::agent
