// SPDX-License-Identifier: Apache-2.0
// Peers that are slow, broken, greedy or hostile.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/asio/socket_base.hpp>

#include "tests/registry/peer_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

struct PeerAbuse : PeerFixture {
  /// Asks for a large blob on `stream` and reads the first bytes of the answer.
  void begin_large(ByteStream& stream) {
    const auto digest = store.add(std::string(64'000'000, 'x'));
    const auto request = "GET /v2/a/blobs/" + digest.to_string() + " HTTP/1.1\r\nHost: h\r\n\r\n";
    ASSERT_TRUE(test::run(context, stream.write(as_bytes(request))));
    Bytes first(1000);
    ASSERT_TRUE(test::run(context, stream.read_some(first)));
  }
};

TEST_F(PeerAbuse, MalformedRequestsAreAnsweredAndEnded) {
  start();
  for (const std::string_view bytes :
       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "hello\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_THAT(raw(bytes), testing::StartsWith("HTTP/1.1 400 Bad Request\r\n")) << bytes;
  }
  EXPECT_THAT(raw("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"),
              testing::StartsWith("HTTP/1.1 431 "));
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 500; ++i) many += "a: b\r\n";
  EXPECT_THAT(raw(many + "\r\n"), testing::StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(raw("GET /v2/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
              testing::StartsWith("HTTP/1.1 400 "));
  wait_until([this] { return server->open_connections() == 0; });
}

TEST_F(PeerAbuse, AHeadThatTricklesIsEnded) {
  options.idle_limit = 100ms;
  start();
  const auto stream = connect();
  const auto endless = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(1000, 'x');
  EXPECT_LT(test::run(context, trickle(*stream, endless)), 1000);
  wait_until([this] { return server->open_connections() == 0; });
}

TEST_F(PeerAbuse, AnIdleConnectionIsEnded) {
  options.idle_limit = 30ms;
  start();
  http::Connection connection(connect());
  EXPECT_EQ(ask(connection, make_request("GET", "/v2/"))->head.status, 200U);
  Bytes byte(1);
  EXPECT_EQ(test::run(context, connection.stream().read_some(byte)).error(), Errc::end_of_stream);
}

TEST_F(PeerAbuse, AReaderThatStopsIsEnded) {
  options.inactivity_limit = 50ms;
  start();
  const auto stream = connect();
  begin_large(*stream);
  wait_until([this] { return server->requests().failed == 1; });
  EXPECT_LT(served().at(0).bytes, 64'000'000U);
  wait_until([this] { return server->open_connections() == 0; });
}

TEST_F(PeerAbuse, AReaderThatIsTooSlowIsEnded) {
  options.responder.grace = 100ms;
  options.responder.least_speed = 1'000'000'000;
  start();
  const auto stream = connect();
  begin_large(*stream);
  const auto sip = [&]() -> awaitable<void> {
    Bytes some(10'000);
    while (server->requests().failed == 0 && co_await stream->read_some(some)) {
      co_await clock.sleep_for(10ms);
    }
  };
  test::run(context, sip());
  EXPECT_EQ(server->requests().failed, 1U);
}

TEST_F(PeerAbuse, APeerThatGoesInMidBodyCostsNothing) {
  start();
  for (int i = 0; i < 5; ++i) {
    const auto stream = connect();
    begin_large(*stream);
  }
  wait_until([this] { return server->requests().failed == 5; });
  wait_until([this] { return server->open_connections() == 0; });
  EXPECT_EQ(ask("GET", "/v2/")->head.status, 200U);
}

TEST_F(PeerAbuse, ConnectionsAreLimited) {
  options.max_connections = 10;
  options.max_connections_per_address = 3;
  start();
  std::vector<std::unique_ptr<http::Connection>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<http::Connection>(connect()));
    ASSERT_TRUE(ask(*held.back(), make_request("GET", "/v2/")));
  }
  EXPECT_FALSE(ask("GET", "/v2/"));
  EXPECT_EQ(server->connections().refused, 1U);
  held.pop_back();
  wait_until([this] { return server->open_connections() == 2; });
  EXPECT_TRUE(ask("GET", "/v2/"));
}

TEST_F(PeerAbuse, WantOfDescriptorsDoesNotSpin) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer's own checks need descriptors";
#endif
  start();
  http::Connection connection(connect());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd lowest_free(::dup(0));
  const rlimit none{static_cast<rlim_t>(lowest_free.get()), before.rlim_max};
  const auto begun = clock.now();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  wait_until([this] { return server->connections().accept_failed >= 2; });
  EXPECT_GE(clock.now() - begun, 150ms);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(ask(connection, make_request("GET", "/v2/"))->head.status, 200U);
}

TEST_F(PeerAbuse, DrainEndsIdleConnectionsAtOnceAndLetsOthersEnd) {
  options.drain_limit = 20s;
  start();
  http::Connection idle(connect());
  ASSERT_TRUE(ask(idle, make_request("GET", "/v2/")));
  const auto digest = store.add(std::string(64'000'000, 'x'));
  http::Connection busy(connect());
  const auto begin = [&]() -> awaitable<Result<http::Response>> {
    CO_CHECK(co_await busy.write_request(make_request("GET", "/v2/a/blobs/" + digest.to_string())));
    co_return co_await busy.read_response("GET");
  };
  ASSERT_TRUE(test::run(context, begin()));
  auto drained = asio::co_spawn(context, server->drain(), asio::use_future);
  Bytes buffer(256 * 1024);
  EXPECT_EQ(test::run(context, idle.stream().read_some(buffer)).error(), Errc::end_of_stream);
  const auto finish = [&]() -> awaitable<std::size_t> {
    std::size_t total = 0;
    while (true) {
      const auto size = co_await busy.read_body(buffer);
      if (!size || *size == 0) co_return total;
      total += *size;
    }
  };
  EXPECT_EQ(test::run(context, finish()), 64'000'000U);
  busy.stream().close();
  wait_until([&] { return drained.wait_for(0s) == std::future_status::ready; });
}

TEST_F(PeerAbuse, DrainEndsAllAtItsDeadline) {
  options.drain_limit = 50ms;
  start();
  const auto stream = connect();
  begin_large(*stream);
  test::run(context, server->drain());
  EXPECT_EQ(server->open_connections(), 0U);
  EXPECT_EQ(server->requests().failed, 1U);
}

TEST_F(PeerAbuse, ACutDrainDoesNotWaitForReadersThatStopped) {
  options.drain_limit = std::chrono::hours(1);
  options.inactivity_limit = std::chrono::hours(1);
  start();
  const auto digest = store.add(std::string(30'000'000, 'x'));
  const auto reader = connect();
  const auto request = "GET /v2/library/nginx/blobs/" + digest.to_string() +
                       "?ns=docker.io HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_TRUE(test::run(context, reader->write(as_bytes(request))));
  Bytes some(1000);
  ASSERT_TRUE(test::run(context, reader->read_some(some)));
  asio::post(context, [this] { server->cut(); });  // behind the drain's beginning, or before it
  test::run(context, server->drain());
  EXPECT_EQ(server->open_connections(), 0U);
}

TEST_F(PeerAbuse, APortThatIsTakenIsNamed) {
  start();
  PeerServerOptions same = options;
  same.listen = server->endpoint();
  PeerServer second(context.get_executor(), threads, store, clock, same);
  try {
    second.start();
    FAIL();
  } catch (const StartError& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("127.0.0.1:" + std::to_string(same.listen.port())));
  }
}

TEST_F(PeerAbuse, BothFamiliesOnOneSocket) {
  options.listen = {asio::ip::tcp::v6(), 0};
  start();
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), server->endpoint().port()});
  http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
  const auto digest = store.add("content");
  ASSERT_TRUE(ask(connection, make_request("GET", "/v2/a/blobs/" + digest.to_string())));
  wait_until([this] { return served().size() == 1; });
  EXPECT_EQ(served()[0].peer, asio::ip::make_address("127.0.0.1"));
}

}  // namespace
}  // namespace hagring::registry
