// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/splice.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include <future>

#include "tests/proxy/blocking_socket.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/hasher.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using test::BlockingSocket;
using tcp = asio::ip::tcp;

/// A client and an origin with a relay between them, which runs on a thread of its own.
class Relayed {
 public:
  explicit Relayed(Splicer::Options options = {}, std::string read_ahead = {},
                   SpliceWatch watch = {})
      : splicer_(options), group_(context_.get_executor(), "test") {
    auto clients = test::connected_pair(context_);
    auto origins = test::connected_pair(context_);
    client_ = std::move(clients.first);
    origin_ = std::move(origins.first);
    group_.spawn([this, near = std::move(clients.second), far = std::move(origins.second),
                  read_ahead = std::move(read_ahead),
                  watch = std::move(watch)]() mutable -> awaitable<void> {
      const ByteView first = as_bytes(read_ahead);
      result_.set_value(co_await splicer_.relay(std::move(near), std::move(far),
                                                Bytes(first.begin(), first.end()), watch));
    });
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Relayed() {
    client_.close();
    origin_.close();
    asio::post(context_, [this] { group_.cancel(); });
    thread_.join();
  }

  BlockingSocket& client() { return client_; }
  BlockingSocket& origin() { return origin_; }
  void cancel() {
    asio::post(context_, [this] { group_.cancel(); });
  }
  SpliceResult result() {
    auto future = result_.get_future();
    if (future.wait_for(30s) != std::future_status::ready) throw std::runtime_error("relay hangs");
    return future.get();
  }

 private:
  asio::io_context context_;
  Splicer splicer_;
  TaskGroup group_;
  BlockingSocket client_, origin_;
  std::promise<SpliceResult> result_;
  std::thread thread_;
};

TEST(Splice, CarriesBothWaysAndSendsTheReadAheadFirst) {
  Relayed relayed({}, "peeked ");
  relayed.client().send("hello");
  EXPECT_EQ(relayed.origin().receive(12), "peeked hello");
  relayed.origin().send("welcome");
  EXPECT_EQ(relayed.client().receive(7), "welcome");
  relayed.client().finish();
  EXPECT_EQ(relayed.origin().receive_all(), "");
  relayed.origin().finish();
  EXPECT_EQ(relayed.client().receive_all(), "");
  const auto result = relayed.result();
  EXPECT_FALSE(result.error) << result.error.message();
  EXPECT_EQ(result.to_origin, 12U);
  EXPECT_EQ(result.to_client, 7U);
}

TEST(Splice, EitherSideMayFinishFirst) {
  for (const bool client_first : {true, false}) {
    Relayed relayed;
    auto& first = client_first ? relayed.client() : relayed.origin();
    auto& second = client_first ? relayed.origin() : relayed.client();
    first.send("request");
    first.finish();
    EXPECT_EQ(second.receive_all(), "request");
    // The other direction goes on for as long as it likes.
    const std::string answer(3 << 20, 'x');
    auto received = std::async(std::launch::async, [&] { return first.receive_all(); });
    second.send(answer);
    second.finish();
    EXPECT_EQ(received.get(), answer);
    EXPECT_FALSE(relayed.result().error);
  }
}

TEST(Splice, ResetIsPassedOnAsReset) {
  for (const bool client_resets : {true, false}) {
    Relayed relayed;
    auto& first = client_resets ? relayed.client() : relayed.origin();
    auto& second = client_resets ? relayed.origin() : relayed.client();
    first.send("last words");
    EXPECT_EQ(second.receive(10), "last words");
    first.reset();
    EXPECT_EQ(second.wait_for_error(), ECONNRESET);
    EXPECT_TRUE(relayed.result().error);
  }
}

TEST(Splice, ResetAfterHalfCloseIsPassedOn) {
  Relayed relayed;
  relayed.client().finish();
  EXPECT_EQ(relayed.origin().receive_all(), "");
  relayed.client().reset();
  EXPECT_EQ(relayed.origin().wait_for_error(), EPIPE);  // what Linux calls a RST after FIN
}

TEST(Splice, ResetIsSeenWhileTheOtherSideDoesNotRead) {
  Relayed relayed;
  relayed.client().fill();  // until nothing more fits anywhere
  relayed.client().reset();
  EXPECT_EQ(relayed.origin().wait_for_error(), ECONNRESET);
  EXPECT_TRUE(relayed.result().error);
}

TEST(Splice, SlowReaderHoldsTheWriterUp) {
  Relayed relayed;
  // Sockets and pipe hold some megabytes, not what a writer would like to send.
  const std::size_t sent = relayed.client().fill();
  EXPECT_LT(sent, 64U << 20);
  relayed.client().finish();
  EXPECT_EQ(relayed.origin().receive_all().size(), sent);
}

TEST(Splice, OriginThatClosesWithUnreadBytesStillAnswers) {
  Relayed relayed;
  relayed.client().send("a request");
  relayed.origin().wait_readable();
  relayed.origin().send("503");
  EXPECT_EQ(relayed.client().receive(3), "503");
  relayed.origin().close();  // unread bytes: RST
  EXPECT_EQ(relayed.client().wait_for_error(), ECONNRESET);
}

TEST(Splice, IdleRelayEndsWithFin) {
  Relayed relayed({.idle_limit = 50ms});
  EXPECT_EQ(relayed.client().receive_all(), "");
  EXPECT_EQ(relayed.origin().receive_all(), "");
  EXPECT_EQ(relayed.result().error, Errc::timed_out);
}

TEST(Splice, CancelledRelayEndsWithFin) {
  Relayed relayed;
  relayed.client().send("x");
  EXPECT_EQ(relayed.origin().receive(1), "x");
  relayed.cancel();
  EXPECT_EQ(relayed.client().receive_all(), "");
  EXPECT_EQ(relayed.origin().receive_all(), "");
  EXPECT_EQ(relayed.result().error, Errc::cancelled);
}

TEST(Splice, PipesAreUsedAgain) {
  const auto open_files = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) != -1;
    return count;
  };
  asio::io_context context;
  Splicer splicer({.spare_pipes = 2});
  int after_first = 0;
  for (int i = 0; i < 5; ++i) {
    {
      auto [client, near] = test::connected_pair(context);
      auto [origin, far] = test::connected_pair(context);
      client.finish();
      origin.finish();
      EXPECT_FALSE(
          test::run(context, splicer.relay(std::move(near), std::move(far), Bytes())).error);
    }
    if (i == 0) after_first = open_files();
    EXPECT_EQ(open_files(), after_first);
  }
}

TEST(Splice, TellsThatTheOriginAnswersOrIsSilentAfterItWasAsked) {
  std::promise<void> answered, silent;
  auto has_answered = answered.get_future(), is_silent = silent.get_future();
  Relayed relayed(
      {.silence = 100ms}, "question",
      {.answered = [&] { answered.set_value(); }, .silent = [&] { silent.set_value(); }});
  EXPECT_EQ(relayed.origin().receive(8), "question");
  relayed.origin().send("answer");
  EXPECT_EQ(relayed.client().receive(6), "answer");
  EXPECT_EQ(has_answered.wait_for(30s), std::future_status::ready);
  // Nobody waits for it now.
  EXPECT_EQ(is_silent.wait_for(300ms), std::future_status::timeout);
  relayed.client().send("another");
  EXPECT_EQ(is_silent.wait_for(30s), std::future_status::ready);
  relayed.origin().send("late");
  EXPECT_EQ(relayed.client().receive(4), "late");
}

/// Sends `size` bytes of a sequence that repeats after a prime number of bytes; returns their hash.
Bytes send_sequence(BlockingSocket& socket, std::uint64_t size, std::uint8_t seed) {
  std::string block(1048573, '\0');
  std::uint32_t state = seed;
  for (char& c : block) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  Hasher hasher(HashAlgorithm::sha256);
  for (std::uint64_t sent = 0; sent < size;) {
    const auto part =
        std::string_view(block).substr(0, std::min<std::uint64_t>(block.size(), size - sent));
    hasher.update(as_bytes(part));
    socket.send(part);
    sent += part.size();
  }
  socket.finish();
  return hasher.digest();
}

std::pair<std::uint64_t, Bytes> receive_sequence(BlockingSocket& socket) {
  Hasher hasher(HashAlgorithm::sha256);
  std::uint64_t received = 0;
  for (std::string part; !(part = socket.receive_some()).empty();) {
    hasher.update(as_bytes(part));
    received += part.size();
  }
  return {received, hasher.digest()};
}

TEST(Splice, OneGibibyteEachWayAtOnceArrivesIntact) {
  constexpr std::uint64_t kSize = 1 << 30;
  Relayed relayed;
  const auto async = std::launch::async;
  auto sent = std::async(async, send_sequence, std::ref(relayed.client()), kSize, 1);
  auto answered = std::async(async, send_sequence, std::ref(relayed.origin()), kSize, 2);
  auto at_origin = std::async(async, receive_sequence, std::ref(relayed.origin()));
  auto at_client = receive_sequence(relayed.client());
  EXPECT_EQ(at_client, std::pair(kSize, answered.get()));
  EXPECT_EQ(at_origin.get(), std::pair(kSize, sent.get()));
  const auto result = relayed.result();
  EXPECT_FALSE(result.error) << result.error.message();
  EXPECT_EQ(result.to_origin, kSize);
  EXPECT_EQ(result.to_client, kSize);
}

}  // namespace
}  // namespace hagring::proxy
