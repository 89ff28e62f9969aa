// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/session.hpp"

#include <gtest/gtest.h>

#include <future>

#include "tests/proxy/proxy_fixture.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using test::BlockingSocket;
using test::eventually;
using test::TlsEndpoint;

/// A TLS record that says it is a ClientHello of 512 bytes, without them.
constexpr std::string_view kHelloBeginning("\x16\x03\x01\x02\x04\x01\x00\x02\x00\x03\x03", 11);

using SessionTest = ProxyFixture;

TEST_F(SessionTest, MirroredNameIsTerminatedInBothVersions) {
  original.client_pid = 4711;
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsEndpoint client(test::make_client_ssl_for(trusting.get(), "registry.test", version),
                       connect());
    ASSERT_TRUE(client.handshake());
    client.send("GET /v2/ HTTP/1.1\r\n\r\n");
    EXPECT_EQ(client.receive_all(), kReply);
    const auto connection = last_intercepted();
    EXPECT_EQ(connection.host, "registry.test");
    EXPECT_EQ(connection.port, original.endpoint.port());
    EXPECT_EQ(connection.original, original.endpoint);
    EXPECT_EQ(connection.client_pid, 4711U);
    EXPECT_TRUE(connection.tls);
    EXPECT_FALSE(connection.probe);
  }
  EXPECT_EQ(requests, std::vector<std::string>(2, "GET /v2/ HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(counters().terminated, 2U);
  EXPECT_TRUE(origin_untouched());
}

TEST_F(SessionTest, HelloInSegmentsOfOneByteIsTerminated) {
  start();
  auto client = connect_tls("registry.test", 1);
  ASSERT_TRUE(client.handshake());
  client.send("x");
  EXPECT_EQ(client.receive_all(), kReply);
}

TEST_F(SessionTest, NameThatIsNotMirroredReachesTheOriginsOwnTls) {
  decision = {.terminate = false, .reason = SpliceReason::not_mirrored};
  start();
  const auto theirs = test::make_certificate("elsewhere.test");
  auto origin_context = test::make_server_context_with(theirs);
  auto trusts_theirs = test::make_client_context_trusting(&theirs);
  auto at_origin = std::async(std::launch::async, [&] {
    TlsEndpoint origin(make_server_ssl(origin_context.get()), accept_at_origin());
    EXPECT_TRUE(origin.handshake());
    EXPECT_EQ(origin.receive_some(), "question");
    origin.send("answer");
  });
  TlsEndpoint client(make_client_ssl(trusts_theirs.get(), "elsewhere.test"), connect());
  ASSERT_TRUE(client.handshake());
  client.send("question");
  EXPECT_EQ(client.receive_some(), "answer");
  at_origin.get();
  EXPECT_EQ(spliced(SpliceReason::not_mirrored), 1U);
  EXPECT_EQ(counters().terminated, 0U);
}

TEST_F(SessionTest, TellsWhatBecameOfServersThatAreRelayedTo) {
  using News = std::pair<std::string, RelayNews>;
  decision = {.terminate = false, .reason = SpliceReason::not_mirrored};
  start();
  const auto told = [&](const News& expected) {
    eventually([&] {
      const std::lock_guard lock(mutex);
      return std::exchange(news, {}) == std::vector{expected};
    });
  };
  /// A client that says hello and bears with whatever comes of it.
  const auto say_hello = [&] {
    return std::async(std::launch::async, [&] {
      TlsEndpoint client(make_client_ssl(trusting.get(), "auth.test"), connect());
      try {
        (void)client.handshake();
      } catch (const std::exception&) {
      }
    });
  };
  {
    const auto client = say_hello();
    auto origin = accept_at_origin();
    (void)origin.receive(1);
    origin.send("not TLS");
    origin.finish();
    told({"auth.test", RelayNews::answered});
  }
  {
    const auto client = say_hello();
    auto origin = accept_at_origin();
    (void)origin.receive(1);
    origin.reset();
    told({"auth.test", RelayNews::silent});
  }
  original.endpoint.port(1);
  const auto client = say_hello();
  told({"auth.test", RelayNews::unreachable});
}

TEST_F(SessionTest, PlainBytesAreSplicedIntact) {
  start();
  auto client = connect();
  client.send("SSH-2.0-anything\r\n");
  auto origin = accept_at_origin();
  EXPECT_EQ(origin.receive(18), "SSH-2.0-anything\r\n");
  origin.send("welcome");
  origin.finish();
  EXPECT_EQ(client.receive_all(), "welcome");
  EXPECT_EQ(spliced(SpliceReason::not_tls), 1U);
}

TEST_F(SessionTest, HttpWithoutARuleIsSpliced) {
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(accept_at_origin().receive(18), "GET / HTTP/1.1\r\n\r\n");
}

TEST_F(SessionTest, SilentClientReachesAServerThatSpeaksFirst) {
  options.first_bytes_limit = 30ms;
  start();
  auto client = connect();
  auto origin = accept_at_origin();
  origin.send("220 ready");
  EXPECT_EQ(client.receive(9), "220 ready");
  client.send("\x16\x03\x01");
  EXPECT_EQ(origin.receive(3), "\x16\x03\x01");
  EXPECT_EQ(spliced(SpliceReason::client_silent), 1U);
}

TEST_F(SessionTest, ConnectionThatTheHookDoesNotKnowIsClosed) {
  hook_remembers = false;
  start();
  auto client = connect();
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(counters().lost, 1U);
  EXPECT_TRUE(origin_untouched());
}

TEST_F(SessionTest, ProbeIsTerminatedWhateverTheTrust) {
  decision = {.terminate = false, .reason = SpliceReason::client_untrusting};
  original.endpoint = options.probe;
  start();
  TlsEndpoint stranger(test::make_nameless_client_ssl(distrusting.get()), connect());
  EXPECT_FALSE(stranger.handshake());
  eventually([&] { return counters().probes_failed == 1; });
  TlsEndpoint believer(test::make_nameless_client_ssl(trusting.get()), connect());
  ASSERT_TRUE(believer.handshake());
  believer.send("x");
  EXPECT_EQ(believer.receive_all(), kReply);
  const auto connection = last_intercepted();
  EXPECT_TRUE(connection.probe);
  EXPECT_EQ(connection.host, "192.0.2.1");
  EXPECT_EQ(probes, (std::vector{false, true}));
  EXPECT_EQ(counters().terminated, 0U);
  EXPECT_TRUE(alerts.empty());
}

TEST_F(SessionTest, NamelessHelloElsewhereIsSpliced) {
  start();
  auto client = std::async(std::launch::async, [&] {
    return TlsEndpoint(test::make_nameless_client_ssl(trusting.get()), connect()).handshake();
  });
  EXPECT_EQ(accept_at_origin().receive(1), "\x16");  // and closes, with unread bytes
  EXPECT_THROW(client.get(), std::system_error);
  EXPECT_EQ(spliced(SpliceReason::no_server_name), 1U);
}

TEST_F(SessionTest, CertificateAlertIsReported) {
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsEndpoint client(test::make_client_ssl_for(distrusting.get(), "registry.test", version),
                       connect());
    EXPECT_FALSE(client.handshake());
  }
  eventually([&] { return counters().refused == 2; });
  const std::lock_guard lock(mutex);
  EXPECT_EQ(alerts, std::vector<int>(2, SSL_AD_UNKNOWN_CA));
}

TEST_F(SessionTest, PlainRegistryIsHandledWithEveryByte) {
  plain_registry = true;
  constexpr std::string_view kRequest = "HEAD /v2/a/manifests/1 HTTP/1.1\r\n\r\n";
  handler_reads = kRequest.size();
  start();
  auto client = connect();
  for (const char& c : kRequest) client.send({&c, 1});
  client.finish();
  EXPECT_EQ(client.receive_all(), kReply);
  EXPECT_EQ(requests.back(), kRequest);
  EXPECT_FALSE(last_intercepted().tls);
  EXPECT_EQ(counters().plain, 1U);
}

TEST_F(SessionTest, OtherBytesToAPlainRegistryAreSpliced) {
  plain_registry = true;
  start();
  auto client = connect();
  client.send("GETAWAY");
  EXPECT_EQ(accept_at_origin().receive(7), "GETAWAY");
}

TEST_F(SessionTest, HelloThatNeverEndsIsSplicedInTime) {
  options.hello_limit = 60ms;
  start();
  auto client = connect();
  client.send(kHelloBeginning);
  EXPECT_EQ(accept_at_origin().receive(kHelloBeginning.size()), kHelloBeginning);
  EXPECT_EQ(spliced(SpliceReason::hello_late), 1U);
}

TEST_F(SessionTest, MalformedHelloIsSpliced) {
  start();
  for (const std::string_view bytes :
       {std::string_view("\x16\x03\x01\x00\x00", 5),
        std::string_view("\x16\x03\x01\xff\xff\x01", 6),
        std::string_view("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9)}) {
    auto client = connect();
    client.send(bytes);
    EXPECT_EQ(accept_at_origin().receive(bytes.size()), bytes);
  }
}

TEST_F(SessionTest, ClientThatLeavesEarlyCostsTheOriginNothing) {
  start();
  {
    auto client = connect();
  }
  {
    auto client = connect();
    client.send(kHelloBeginning);
  }
  {
    auto client = connect();
    client.send(kHelloBeginning);
    client.reset();
  }
  eventually([&] { return counters().left_early == 3; });
  EXPECT_TRUE(origin_untouched());
}

TEST_F(SessionTest, DecisionThatHangsMeansSplicing) {
  decision_hangs = true;
  options.decision_limit = 30ms;
  start();
  auto client =
      std::async(std::launch::async, [&] { return connect_tls("registry.test").handshake(); });
  EXPECT_EQ(accept_at_origin().receive(1), "\x16");
  EXPECT_THROW(client.get(), std::system_error);
  EXPECT_EQ(spliced(SpliceReason::undecided), 1U);
}

TEST_F(SessionTest, OriginThatRefusesIsAResetToTheClient) {
  original.endpoint.port(1);
  start();
  auto client = connect();
  client.send("hello");
  EXPECT_EQ(client.wait_for_error(), ECONNRESET);
  EXPECT_EQ(counters().dial_failed, 1U);
}

TEST_F(SessionTest, OriginalDestinationThatIsOurselvesMakesNoLoop) {
  start();
  original.endpoint = listener->endpoint_v4();
  auto client = connect();
  client.send("hello");
  EXPECT_EQ(client.wait_for_error(), ECONNRESET);
  EXPECT_EQ(listener->counters().accepted, 1U);
}

TEST_F(SessionTest, SplicedNameFallsBackToItsOtherAddress) {
  decision = {.terminate = false, .reason = SpliceReason::client_untrusting};
  resolver.names["registry.test"] = {original.endpoint.address()};
  original.endpoint.address(asio::ip::make_address("127.0.0.77"));  // refuses
  start();
  auto client =
      std::async(std::launch::async, [&] { return connect_tls("registry.test").handshake(); });
  EXPECT_EQ(accept_at_origin().receive(1), "\x16");
  EXPECT_THROW(client.get(), std::system_error);
}

TEST_F(SessionTest, TerminatedConnectionEndsWithoutReset) {
  start();
  auto client = connect_tls("registry.test");
  ASSERT_TRUE(client.handshake());
  // Far more than the handler reads: closing at once would send a RST.
  client.send(std::string(300'000, 'x'));
  EXPECT_EQ(client.receive_all(), kReply);
  client.socket().finish();
  EXPECT_EQ(client.socket().receive_all(), "");
}

TEST_F(SessionTest, HandshakeThatStopsEndsInTime) {
  options.handshake_limit = 50ms;
  options.linger_limit = 50ms;
  start();
  auto ssl = make_client_ssl(trusting.get(), "registry.test");
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_do_handshake(ssl.get());
  std::string hello(BIO_ctrl_pending(SSL_get_wbio(ssl.get())), '\0');
  BIO_read(SSL_get_wbio(ssl.get()), hello.data(), static_cast<int>(hello.size()));
  auto client = connect();
  client.send(hello);
  client.receive_all();  // the server's half, then its end
  EXPECT_EQ(counters().handshake_failed, 1U);
}

TEST_F(SessionTest, StopEndsConnectionsInEveryPhaseWithFin) {
  options.first_bytes_limit = 1h;
  handler_hangs = true;
  start();
  auto silent = connect();
  auto in_hello = connect();
  in_hello.send(kHelloBeginning);
  auto spliced_client = connect();
  spliced_client.send("x");
  auto origin = accept_at_origin();
  EXPECT_EQ(origin.receive(1), "x");
  auto served = connect_tls("registry.test");
  ASSERT_TRUE(served.handshake());
  served.send("x");
  EXPECT_EQ(served.receive_some(), kReply);
  eventually([&] { return listener->connections() == 4; });
  stop();
  EXPECT_EQ(served.receive_some(), "");
  EXPECT_EQ(spliced_client.receive_all(), "");
  EXPECT_EQ(origin.receive_all(), "");
  EXPECT_EQ(in_hello.receive_all(), "");
  EXPECT_EQ(silent.receive_all(), "");
}

TEST_F(SessionTest, ManyConnectionsAtOnceEndAccountedFor) {
  start();
  std::vector<std::future<int>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::async(std::launch::async, [&] {
      int answered = 0;
      for (int j = 0; j < 25; ++j) {
        auto client = connect_tls("registry.test");
        if (!client.handshake()) continue;
        client.send("x");
        answered += client.receive_all() == kReply;
      }
      return answered;
    }));
  }
  int answered = 0;
  for (auto& client : clients) answered += client.get();
  EXPECT_EQ(answered, 200);
  EXPECT_EQ(counters().terminated, 200U);
  eventually([&] { return listener->connections() == 0; });
}

}  // namespace
}  // namespace hagring::proxy
