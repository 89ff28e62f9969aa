// SPDX-License-Identifier: Apache-2.0
// TLS over real sockets, on a link that is slow.
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>

#include "tests/support/run.hpp"
#include "tests/support/test_certificate.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

/// A TCP connection's end that is read and written as a slow link would have it.
class SlowLink final : public ByteStream {
 public:
  explicit SlowLink(SocketStream::Socket socket) : below_(std::move(socket)) {}

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    return below_.read_some(into);
  }
  /// Packet by packet; whoever waits for them has its turn after each.
  awaitable<Result<void>> write(ByteView from) override {
    constexpr std::size_t kPacket = 1000;
    for (; !from.empty(); from = from.subspan(std::min(kPacket, from.size()))) {
      CO_CHECK(co_await below_.write(from.first(std::min(kPacket, from.size()))));
      for (int turn = 0; turn < 3; ++turn) co_await asio::post(kTuple);
    }
    co_return Result<void>();
  }
  awaitable<Result<void>> shutdown_write() override { return below_.shutdown_write(); }
  void close() override { below_.close(); }
  void set_inactivity_limit(Duration limit) override { below_.set_inactivity_limit(limit); }
  int plain_socket() const override { return below_.plain_socket(); }

 private:
  SocketStream below_;
};

int wakes_at(const ByteStream& stream) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  ::getsockopt(stream.plain_socket(), SOL_SOCKET, SO_RCVLOWAT, &bytes, &size);
  return bytes;
}

/// Reads as many bytes as `expected` has, and compares them.
awaitable<Result<void>> receive(ByteStream& stream, ByteView expected) {
  Bytes into(expected.size());
  for (std::size_t had = 0; had < into.size();) {
    CO_TRY(const auto got, co_await stream.read_some(MutableBytes(into).subspan(had)));
    had += got;
  }
  co_return std::ranges::equal(into, expected) ? Result<void>() : Errc::bad_message;
}

struct SlowLinkTest : testing::TestWithParam<int> {
  SlowLinkTest() {
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    tcp::socket one(context), two(context);
    one.connect(acceptor.local_endpoint());
    acceptor.accept(two);
    auto a = std::make_unique<SlowLink>(std::move(one));
    auto b = std::make_unique<SlowLink>(std::move(two));
    client_below = a.get();
    server_below = b.get();
    auto ssl = make_client_ssl(client_context.get(), "registry.example");
    SSL_set_max_proto_version(ssl.get(), GetParam());
    client = std::make_unique<TlsStream>(ssl.release(), std::move(a));
    server =
        std::make_unique<TlsStream>(make_server_ssl(server_context.get()).release(), std::move(b));
  }

  /// Runs both at once, to their ends.
  std::pair<Result<void>, Result<void>> both(awaitable<Result<void>> one,
                                             awaitable<Result<void>> other) {
    std::pair<Result<void>, Result<void>> results;
    test::run(context, [&]() -> awaitable<void> {
      TaskGroup group(co_await asio::this_coro::executor, "test");
      group.spawn([&]() -> awaitable<void> { results.first = co_await std::move(one); });
      group.spawn([&]() -> awaitable<void> { results.second = co_await std::move(other); });
      co_await group.drain();
    }());
    return results;
  }

  asio::io_context context;
  test::TestCertificate certificate = test::make_certificate("registry.example");
  SslContext server_context = test::make_server_context_with(certificate);
  SslContext client_context = test::make_client_context_trusting(&certificate);
  ByteStream* client_below = nullptr;
  ByteStream* server_below = nullptr;
  std::unique_ptr<TlsStream> client, server;
};

TEST_P(SlowLinkTest, SleepsUntilARecordIsWholeAndStillSeesTheEnd) {
  const auto [c, s] = both(client->handshake(), server->handshake());
  ASSERT_TRUE(c && s);
  Bytes there(131'073);
  for (std::size_t i = 0; i < there.size(); ++i) there[i] = static_cast<std::uint8_t>(i / 251);
  const auto [sent, received] = both(server->write(there), receive(*client, there));
  EXPECT_TRUE(sent && received);
  // The beginning of a record: the rest is waited for, and that it won't come is seen all the same.
  const auto break_off = [&]() -> awaitable<Result<void>> {
    CO_CHECK(co_await server_below->write(Bytes{0x17, 3, 3, 0x40, 0, 1, 2, 3}));
    const auto limit = std::chrono::steady_clock::now() + 5s;
    while (wakes_at(*client_below) != 0x4000 - 3 && std::chrono::steady_clock::now() < limit) {
      co_await asio::post(kTuple);
    }
    EXPECT_EQ(wakes_at(*client_below), 0x4000 - 3);
    co_return co_await server_below->shutdown_write();
  };
  const auto [broken_off, end] = both(break_off(), receive(*client, Bytes(1)));
  EXPECT_TRUE(broken_off);
  EXPECT_EQ(end.error(), Errc::truncated);
}

INSTANTIATE_TEST_SUITE_P(Versions, SlowLinkTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

}  // namespace
}  // namespace hagring
