// SPDX-License-Identifier: Apache-2.0
#include "dht/net/upgrader.hpp"

#include <boost/asio/write.hpp>

#include "dht/net/host_certificate.hpp"
#include "dht/net/identify.hpp"
#include "dht/net/multistream.hpp"
#include "dht/net/yamux.hpp"
#include "tests/dht/net/hosts.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using test::kEcho;

struct UpgraderTest : test::Hosts {
  static HostOptions in_network(std::uint8_t key) {
    auto keyed = options();
    keyed.network_key = NetworkKey{key};
    keyed.upgrade_limit = 1s;
    return keyed;
  }
  /// What both sides log, and whether they connect.
  std::string log_of_connecting(const HostOptions& from, const HostOptions& to) {
    auto& a = add(from);
    auto& b = add(to);
    testing::internal::CaptureStderr();
    const auto connected = connect(a, b);
    wait_for([&] { return connected || b.counters().failed_handshakes > 0; });
    return (connected ? "connected" : "") + testing::internal::GetCapturedStderr();
  }
};

TEST_F(UpgraderTest, ConnectsWithinAPrivateNetwork) {
  EXPECT_EQ(log_of_connecting(in_network(1), in_network(1)), "connected");
}

TEST_F(UpgraderTest, SaysThatTheNetworkKeysDiffer) {
  for (int i = 0; i < 4; ++i) {
    const auto log = log_of_connecting(in_network(1), in_network(2));
    EXPECT_NE(log.find("the other side doesn't share this network's key, or has none"),
              std::string::npos)
        << log;
  }
}

TEST_F(UpgraderTest, SaysThatOneSideHasNoNetworkKey) {
  auto open = options();
  open.upgrade_limit = 1s;
  for (const bool dialler_has_key : {true, false}) {
    const auto log = dialler_has_key ? log_of_connecting(in_network(1), open)
                                     : log_of_connecting(open, in_network(1));
    EXPECT_NE(log.find("the other side doesn't share this network's key, or has none"),
              std::string::npos)
        << log;
    EXPECT_NE(log.find("if it has a network key, this node needs the same one"), std::string::npos)
        << log;
  }
}

TEST_F(UpgraderTest, EndsPeersThatStallOrDribble) {
  auto short_limit = options();
  short_limit.upgrade_limit = 300ms;
  auto& host = add(short_limit);
  std::vector<SocketStream> peers;
  for (int i = 0; i < 2; ++i) peers.emplace_back(knock(host));
  // A byte at a time, for as long as it is let: never enough of a handshake.
  const std::string text =
      "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\x7f\x7f" + std::string(1000, 'x');
  tasks.spawn([&]() -> awaitable<void> {
    for (const char& byte : text) {
      if (!co_await peers[0].write(as_bytes(std::string_view(&byte, 1)))) co_return;
      co_await clock->sleep_for(5ms);
      if (co_await asked_to_stop()) co_return;
    }
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait_for([&] { return host.counters().failed_handshakes == 2; }, 2s));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1s);
  EXPECT_TRUE(connect(add(), host));
}

TEST_F(UpgraderTest, RefusesWhatIsNotLibp2p) {
  auto& host = add();
  testing::internal::CaptureStderr();
  SocketStream browser(knock(host));
  EXPECT_TRUE(run(browser.write(as_bytes("GET / HTTP/1.1\r\n\r\n"))));
  EXPECT_TRUE(wait_for([&] { return host.counters().failed_handshakes == 1; }));
  SocketStream probe(knock(host));
  probe.close();
  EXPECT_TRUE(wait_for([&] { return host.counters().failed_handshakes == 2; }));
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("a connection from 127.0.0.1 failed: the other side doesn't answer as a "
                     "libp2p node"),
            std::string::npos)
      << log;
  // A probe is nothing to write about.
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

TEST_F(UpgraderTest, DoesNotFillTheDiskWithStrangers) {
  auto& host = add();
  testing::internal::CaptureStderr();
  for (std::size_t i = 1; i <= 50; ++i) {
    SocketStream stranger(knock(host));
    EXPECT_TRUE(run(stranger.write(as_bytes("GET / HTTP/1.1\r\n\r\n"))));
    ASSERT_TRUE(wait_for([&] { return host.counters().failed_handshakes == i; }));
  }
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 6) << log;
}

/// A peer made of the layers alone, whose ALPN is the test's choice.
struct OtherPeer {
  explicit OtherPeer(Clock& clock) : host(make_host_certificate(identity, clock.wall())) {}

  SslHandle ssl(bool is_client) {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_use_certificate(context.get(), host.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), host.key.get());
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(
        context.get(), [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    SslHandle made(SSL_new(context.get()));
    if (is_client) {
      SSL_set_connect_state(made.get());
    } else {
      SSL_set_accept_state(made.get());
    }
    return made;
  }

  /// Dials over `socket` and opens a stream for identify; returns what the host says.
  awaitable<Result<IdentifyMessage>> ask(tcp::socket socket, std::string alpn, Clock& clock) {
    std::unique_ptr<ByteStream> stream = std::make_unique<SocketStream>(std::move(socket));
    const std::vector<std::string> security{kTlsProtocol};
    const std::vector<std::string> muxers{kYamuxProtocol};
    CO_CHECK(co_await propose_protocol(*stream, security));
    auto handle = ssl(true);
    SSL_set_alpn_protos(handle.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
    auto tls = std::make_unique<TlsStream>(handle.release(), std::move(stream));
    CO_CHECK(co_await tls->handshake());
    CO_CHECK(co_await propose_protocol(*tls, muxers));
    const auto executor = co_await asio::this_coro::executor;
    YamuxSession session(std::move(tls), YamuxSession::Role::dialler, clock, executor);
    TaskGroup group(executor, "other peer");
    group.spawn([&]() -> awaitable<void> { (void)co_await session.run(); });
    auto identify = propose_lazily(*session.open(), kIdentifyProtocol);
    auto said = co_await read_identify(*identify);
    session.close();
    co_await group.drain();
    co_return said;
  }

  /// Answers over `socket` without any ALPN, until the host's session ends.
  awaitable<Result<void>> answer(tcp::socket socket, Clock& clock) {
    std::unique_ptr<ByteStream> stream = std::make_unique<SocketStream>(std::move(socket));
    const std::vector<std::string> security{kTlsProtocol};
    const std::vector<std::string> muxers{"/mplex/6.7.0", kYamuxProtocol};
    CO_CHECK(co_await answer_protocol(*stream, security));
    auto tls = std::make_unique<TlsStream>(ssl(false).release(), std::move(stream));
    CO_CHECK(co_await tls->handshake());
    CO_TRY(const auto muxer, co_await answer_protocol(*tls, muxers));
    EXPECT_EQ(muxer, kYamuxProtocol);
    const auto executor = co_await asio::this_coro::executor;
    YamuxSession session(std::move(tls), YamuxSession::Role::listener, clock, executor);
    (void)co_await session.run();
    co_return Result<void>();
  }

  Identity identity = Identity::generate();
  HostCertificate host;
  SslContext context{SSL_CTX_new(TLS_method())};
};

TEST_F(UpgraderTest, AgreesOnTheMuxerByMultistreamWhereAlpnNamesNone) {
  auto& host = add();
  for (const std::string alpn : {"", "\x06libp2p"}) {
    OtherPeer peer(*clock);
    const auto said = run(peer.ask(knock(host), alpn, *clock));
    ASSERT_TRUE(said) << said.error().message();
    ASSERT_TRUE(said->key);
    EXPECT_EQ(said->key->peer_id(), host.peer_id());
    EXPECT_EQ(said->listen_addresses, host.addresses());
    EXPECT_EQ(said->protocol_version, "ipfs/0.1.0");
    ASSERT_TRUE(said->observed_address);
    EXPECT_TRUE(said->observed_address->tcp_endpoint()->address().is_loopback());
  }
}

TEST_F(UpgraderTest, AgreesOnTheMuxerAsTheDialler) {
  auto short_limit = options();
  short_limit.negotiation_limit = 200ms;
  auto& host = add(short_limit);
  OtherPeer peer(*clock);
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  Result<void> answered = Errc::cancelled;
  tasks.spawn([&]() -> awaitable<void> {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    answered = co_await peer.answer(std::move(socket), *clock);
  });
  // Its streams are never answered: it stays connected without having identified itself.
  EXPECT_EQ(run(host.connect(acceptor.local_endpoint(), peer.identity.peer_id())).error(),
            Errc::timed_out);
  EXPECT_TRUE(host.connected(peer.identity.peer_id()));
  EXPECT_EQ(run(host.open(peer.identity.peer_id(), {}, kEcho)).error(), Errc::timed_out);
  stop(host);
  run(tasks.drain());
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace hagring::dht
