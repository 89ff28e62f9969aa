// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_stream.hpp"

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/test_certificate.hpp"
#include "tests/support/told_to_stop.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/tls_buffers.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

/// Both ends of one TLS connection over a memory pipe.
struct Ends {
  std::unique_ptr<TlsStream> client, server;
  ByteStream* client_below = nullptr;
  ByteStream* server_below = nullptr;
};

/// Runs both operations at once to their ends.
template <typename A, typename B>
std::pair<A, B> both(asio::io_context& context, awaitable<A> first, awaitable<B> second) {
  std::optional<A> a;
  std::optional<B> b;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { a.emplace(co_await std::move(first)); });
    group.spawn([&]() -> awaitable<void> { b.emplace(co_await std::move(second)); });
    co_await group.drain();
  }());
  return {*a, *b};
}

/// Writes `bytes`, then closes the sending side.
awaitable<Result<void>> send_all(ByteStream& stream, ByteView bytes) {
  CO_CHECK(co_await stream.write(bytes));
  co_return co_await stream.shutdown_write();
}

/// Reads to the end and returns the number of bytes that were as `expected` has them.
awaitable<Result<std::size_t>> receive_all(ByteStream& stream, ByteView expected) {
  Bytes buffer(100'000);
  std::size_t total = 0;
  while (true) {
    const auto size = co_await stream.read_some(buffer);
    if (!size && size.error() == Errc::end_of_stream) co_return total;
    if (!size) co_return size.error();
    if (total + *size > expected.size() ||
        !std::equal(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*size),
                    expected.begin() + static_cast<std::ptrdiff_t>(total))) {
      co_return Errc::bad_message;
    }
    total += *size;
  }
}

Bytes pattern(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>((i * 2654435761U + seed) >> 13);
  }
  return bytes;
}

struct TlsStreamTest : testing::TestWithParam<int> {
  Ends connect(test::PipeOptions options = {}, SSL_CTX* client_context = nullptr,
               const char* name = "registry.example") {
    auto [a, b] = test::make_memory_pipe(context.get_executor(), options);
    Ends ends;
    ends.client_below = a.get();
    ends.server_below = b.get();
    auto client = make_client_ssl(client_context ? client_context : trusting.get(), name);
    if (GetParam() == TLS1_2_VERSION) {
      SSL_set_max_proto_version(client.get(), TLS1_2_VERSION);
    } else {
      SSL_set_min_proto_version(client.get(), TLS1_3_VERSION);
    }
    ends.client = std::make_unique<TlsStream>(client.release(), std::move(a));
    ends.server =
        std::make_unique<TlsStream>(make_server_ssl(server_context.get()).release(), std::move(b));
    return ends;
  }
  Ends connected(test::PipeOptions options = {}) {
    auto ends = connect(options);
    const auto [client, server] = both(context, ends.client->handshake(), ends.server->handshake());
    EXPECT_TRUE(client && server);
    EXPECT_EQ(SSL_version(ends.client->ssl()), GetParam());
    return ends;
  }

  asio::io_context context;
  test::TestCertificate certificate = test::make_certificate("registry.example");
  SslContext server_context = test::make_server_context_with(certificate);
  SslContext trusting = test::make_client_context_trusting(&certificate);
  SslContext untrusting = test::make_client_context_trusting(nullptr);
  Bytes buffer = Bytes(65'536);
};

TEST(TlsBuffers, KeepNoRoomForGreatWritesWhenSmallOnesFollow) {
  TlsBuffers buffers;
  buffers.out.reserve(100'000);
  buffers.fit_writes(50'000);
  EXPECT_GE(buffers.out.capacity(), 100'000U);
  buffers.fit_writes(12);
  EXPECT_EQ(buffers.out.capacity(), 0U);
}

TEST_P(TlsStreamTest, CarriesBytesWhereverReadsAreCut) {
  const auto there = pattern(40'000, 1);
  for (const std::size_t cut : {1, 2, 3, 4, 5, 6, 7, 11, 13, 64, 1000, 16'384, 16'413}) {
    auto ends = connected({.max_read = cut});
    const auto [sent, received] =
        both(context, send_all(*ends.client, there), receive_all(*ends.server, there));
    EXPECT_TRUE(sent);
    EXPECT_EQ(received, Result<std::size_t>(there.size())) << "reads of " << cut;
  }
}

TEST_P(TlsStreamTest, LargeTransfersBothWaysAtOnce) {
  auto ends = connected();
  const auto there = pattern(5'000'003, 1), back = pattern(4'000'001, 2);
  Result<void> sent_there, sent_back;
  Result<std::size_t> received_there = 0, received_back = 0;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { sent_there = co_await send_all(*ends.client, there); });
    group.spawn([&]() -> awaitable<void> { sent_back = co_await send_all(*ends.server, back); });
    group.spawn(
        [&]() -> awaitable<void> { received_there = co_await receive_all(*ends.server, there); });
    group.spawn(
        [&]() -> awaitable<void> { received_back = co_await receive_all(*ends.client, back); });
    co_await group.drain();
  }());
  EXPECT_TRUE(sent_there && sent_back);
  EXPECT_EQ(received_there, Result<std::size_t>(there.size()));
  EXPECT_EQ(received_back, Result<std::size_t>(back.size()));
}

TEST_P(TlsStreamTest, GathersRecordsIntoLargeSends) {
  auto ends = connected({.capacity = 10 << 20});
  ASSERT_TRUE(test::run(context, ends.client->write(pattern(262'144, 1))));
  // Sixteen records were sent at once, so the pipe holds all of them.
  Bytes raw(1 << 20);
  const auto size = test::run(context, ends.server_below->read_some(raw));
  ASSERT_TRUE(size);
  EXPECT_GT(*size, 256U * 1024);
}

TEST_P(TlsStreamTest, CloseNotifyEndsReadingAndLeavesTheOtherWayOpen) {
  auto ends = connected();
  ASSERT_TRUE(test::run(context, ends.client->shutdown_write()));
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)).error(), Errc::end_of_stream);
  ASSERT_TRUE(test::run(context, ends.server->write(as_bytes("still here"))));
  EXPECT_EQ(test::run(context, ends.client->read_some(buffer)), Result<std::size_t>(10));
  EXPECT_FALSE(test::run(context, ends.client->write(as_bytes("too late"))));
}

TEST_P(TlsStreamTest, EndWithoutCloseNotifyIsTruncation) {
  auto ends = connected();
  ASSERT_TRUE(test::run(context, ends.client->write(as_bytes("half"))));
  ASSERT_TRUE(test::run(context, ends.client_below->shutdown_write()));
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)), Result<std::size_t>(4));
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)).error(), Errc::truncated);
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)).error(), Errc::truncated);
}

TEST_P(TlsStreamTest, AlertOfAnUntrustingClientIsRecorded) {
  auto ends = connect({}, untrusting.get());
  auto [client, server] = both(context, ends.client->handshake(), ends.server->handshake());
  EXPECT_EQ(client.error(), Errc::bad_message);
  EXPECT_EQ(ends.client->failure().verify_result, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
  EXPECT_NE(ends.client->failure().text.find("certificate verify failed"), std::string::npos);
  EXPECT_EQ(ends.client->failure().alert, -1);
  EXPECT_EQ(server.error(), Errc::bad_message);
  EXPECT_EQ(ends.server->failure().alert, SSL_AD_UNKNOWN_CA);
  EXPECT_TRUE(is_certificate_alert(ends.server->failure().alert));
}

TEST_P(TlsStreamTest, ClientRefusesACertificateForAnotherName) {
  auto ends = connect({}, trusting.get(), "other.example");
  auto [client, server] = both(context, ends.client->handshake(), ends.server->handshake());
  EXPECT_EQ(client.error(), Errc::bad_message);
  EXPECT_EQ(ends.client->failure().verify_result, X509_V_ERR_HOSTNAME_MISMATCH);
  EXPECT_TRUE(is_certificate_alert(ends.server->failure().alert));
}

TEST_P(TlsStreamTest, GarbageInsteadOfAHandshake) {
  auto ends = connect();
  ASSERT_TRUE(test::run(context, ends.client_below->write(pattern(300, 3))));
  EXPECT_EQ(test::run(context, ends.server->handshake()).error(), Errc::bad_message);
  EXPECT_FALSE(ends.server->failure().text.empty());
}

TEST_P(TlsStreamTest, GarbageInsteadOfARecord) {
  auto ends = connected();
  ASSERT_TRUE(test::run(context, ends.client_below->write(pattern(300, 3))));
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)).error(), Errc::bad_message);
  // The other side learns of it by an alert.
  EXPECT_EQ(test::run(context, ends.client->read_some(buffer)).error(), Errc::bad_message);
  EXPECT_GE(ends.client->failure().alert, 0);
}

TEST_P(TlsStreamTest, GarbageWhileAWriteWaitsForThePeer) {
  auto ends = connected();
  const auto much = pattern(1'000'000, 1);
  Result<void> written;
  Result<std::size_t> read = 0;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { written = co_await ends.server->write(much); });
    group.spawn([&]() -> awaitable<void> {
      (void)co_await ends.client_below->write(pattern(300, 3));
      // The alert can't be sent now; the error is told all the same.
      read = co_await ends.server->read_some(buffer);
      ends.server->close();
    });
    co_await group.drain();
  }());
  EXPECT_EQ(read.error(), Errc::bad_message);
  EXPECT_FALSE(written);
}

TEST_P(TlsStreamTest, HandshakeOfASilentPeerEndsAtItsDeadline) {
  auto ends = connect();
  SystemClock clock;
  EXPECT_EQ(test::run(context, with_deadline(clock, 10ms, ends.server->handshake())).error(),
            Errc::timed_out);
}

TEST_P(TlsStreamTest, HandshakeAndReadEndWhenToldToStopThoughBytesAreThere) {
  auto ends = connect();
  // The beginning of a record of 16 KiB, and none of its end.
  const Bytes record{22, 3, 1, 64, 0, 1};
  ASSERT_TRUE(test::run(context, ends.client_below->write(record)));
  EXPECT_EQ(test::when_told_to_stop(context, ends.server->handshake()).error(), Errc::cancelled);
  auto later = connected();
  ASSERT_TRUE(test::run(context, later.client->write(as_bytes("x"))));
  EXPECT_EQ(test::when_told_to_stop(context, later.server->read_some(buffer)).error(),
            Errc::cancelled);
}

TEST_P(TlsStreamTest, HandshakeOfAPeerThatGoesAway) {
  auto ends = connect();
  ASSERT_TRUE(test::run(context, ends.client_below->shutdown_write()));
  EXPECT_EQ(test::run(context, ends.server->handshake()).error(), Errc::end_of_stream);
}

TEST_P(TlsStreamTest, DeadlineEndsAReadAndTheStreamLivesOn) {
  auto ends = connected();
  SystemClock clock;
  EXPECT_EQ(test::run(context, with_deadline(clock, 10ms, ends.server->read_some(buffer))).error(),
            Errc::timed_out);
  ASSERT_TRUE(test::run(context, ends.client->write(as_bytes("x"))));
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)), Result<std::size_t>(1));
}

TEST_P(TlsStreamTest, InactivityLimitIsTheStreamsBelow) {
  auto ends = connected();
  ends.server->set_inactivity_limit(10ms);
  EXPECT_EQ(test::run(context, ends.server->read_some(buffer)).error(), Errc::timed_out);
}

TEST_P(TlsStreamTest, DestroyedWhileItsReadIsUnderWay) {
  auto ends = connected();
  Result<std::size_t> result = 0;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { result = co_await ends.server->read_some(buffer); });
    group.spawn([&]() -> awaitable<void> {
      ends.server.reset();
      co_return;
    });
    co_await group.drain();
  }());
  EXPECT_EQ(result.error(), Errc::cancelled);
}

TEST_P(TlsStreamTest, TakesAClientHelloThatWasReadBefore) {
  auto [a, b] = test::make_memory_pipe(context.get_executor());
  auto client_ssl = make_client_ssl(trusting.get(), "registry.example");
  auto* below = b.get();
  TlsStream client(client_ssl.release(), std::move(a));
  Result<void> client_done = Errc::unavailable, server_done = Errc::unavailable;
  std::unique_ptr<TlsStream> server;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { client_done = co_await client.handshake(); });
    group.spawn([&]() -> awaitable<void> {
      const auto peeked = co_await below->read_some(MutableBytes(buffer).first(100));
      server = std::make_unique<TlsStream>(make_server_ssl(server_context.get()).release(),
                                           std::move(b), ByteView(buffer).first(*peeked));
      server_done = co_await server->handshake();
    });
    co_await group.drain();
  }());
  EXPECT_TRUE(client_done && server_done);
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsStreamTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) {
                           return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

struct Tls13StreamTest : TlsStreamTest {};
INSTANTIATE_TEST_SUITE_P(Only, Tls13StreamTest, testing::Values(TLS1_3_VERSION));

TEST_P(Tls13StreamTest, KeyUpdatesWhileBothWaysAreBusy) {
  auto ends = connected();
  const auto data = pattern(1'000'000, 5);
  const auto send_with_updates = [&](TlsStream& stream) -> awaitable<Result<void>> {
    for (std::size_t at = 0; at < data.size(); at += 100'000) {
      SSL_key_update(stream.ssl(), SSL_KEY_UPDATE_REQUESTED);
      CO_CHECK(co_await stream.write(ByteView(data).subspan(at, 100'000)));
    }
    co_return co_await stream.shutdown_write();
  };
  Result<std::size_t> there = 0, back = 0;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> { (void)co_await send_with_updates(*ends.client); });
    group.spawn([&]() -> awaitable<void> { (void)co_await send_with_updates(*ends.server); });
    group.spawn([&]() -> awaitable<void> { there = co_await receive_all(*ends.server, data); });
    group.spawn([&]() -> awaitable<void> { back = co_await receive_all(*ends.client, data); });
    co_await group.drain();
  }());
  EXPECT_EQ(there, Result<std::size_t>(data.size()));
  EXPECT_EQ(back, Result<std::size_t>(data.size()));
}

}  // namespace
}  // namespace hagring
