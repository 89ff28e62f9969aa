// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/socket_stream.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <functional>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;

struct SocketStreamTest : testing::Test {
  SocketStreamTest() {
    asio::local::stream_protocol::socket a(context), b(context);
    asio::local::connect_pair(a, b);
    left = std::make_unique<SocketStream>(std::move(a));
    right = std::make_unique<SocketStream>(std::move(b));
  }
  asio::io_context context;
  std::unique_ptr<SocketStream> left, right;
  Bytes buffer = Bytes(1024);
};

TEST_F(SocketStreamTest, CarriesBytesAndEndsWithEndOfStream) {
  ASSERT_TRUE(test::run(context, left->write(as_bytes("hello"))));
  ASSERT_TRUE(test::run(context, left->shutdown_write()));
  EXPECT_EQ(test::run(context, right->read_some(buffer)), Result<std::size_t>(5));
  EXPECT_EQ(test::run(context, right->read_some(buffer)).error(), Errc::end_of_stream);
}

TEST_F(SocketStreamTest, InactivityLimitEndsARead) {
  right->set_inactivity_limit(20ms);
  EXPECT_EQ(test::run(context, right->read_some(buffer)).error(), Errc::timed_out);
}

TEST_F(SocketStreamTest, InactivityLimitEndsAWriteToAReaderThatStopped) {
  left->set_inactivity_limit(20ms);
  const Bytes much(8 << 20);
  EXPECT_EQ(test::run(context, left->write(much)).error(), Errc::timed_out);
}

TEST_F(SocketStreamTest, WaitsUntilThePlainSocketTakesBytes) {
  EXPECT_TRUE(test::run(context, left->wait_writable()));
  while (::send(left->plain_socket(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) continue;
  left->set_inactivity_limit(20ms);
  EXPECT_EQ(test::run(context, left->wait_writable()).error(), Errc::timed_out);
}

TEST_F(SocketStreamTest, LimitOfOneReadDoesNotEndTheNext) {
  right->set_inactivity_limit(200ms);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(test::run(context, left->write(as_bytes("x"))));
    ASSERT_TRUE(test::run(context, right->read_some(buffer)));
  }
  EXPECT_EQ(test::run(context, right->read_some(buffer)).error(), Errc::timed_out);
}

TEST_F(SocketStreamTest, NewLimitCountsForAReadThatBeginsAtOnce) {
  right->set_inactivity_limit(1h);
  ASSERT_TRUE(test::run(context, left->write(as_bytes("x"))));
  const auto read_twice = [this]() -> awaitable<Result<std::size_t>> {
    CO_CHECK(co_await right->read_some(buffer));
    right->set_inactivity_limit(20ms);
    co_return co_await right->read_some(buffer);
  };
  EXPECT_EQ(test::run(context, read_twice()).error(), Errc::timed_out);
}

TEST_F(SocketStreamTest, LongerAndShorterLimitsCountForAReadUnderWay) {
  for (const auto& [before, after] : {std::pair{20ms, 150ms}, std::pair{3'600'000ms, 150ms}}) {
    TaskGroup group(context.get_executor(), "test");
    std::optional<error_code> seen;
    right->set_inactivity_limit(before);
    group.spawn([&]() -> awaitable<void> { seen = (co_await right->read_some(buffer)).error(); });
    context.restart();
    context.poll();
    const auto begun = std::chrono::steady_clock::now();
    right->set_inactivity_limit(after);
    test::run(context, group.drain());
    EXPECT_EQ(seen, Errc::timed_out);
    EXPECT_GE(std::chrono::steady_clock::now() - begun, after);
    // The next stream of the pair, which hasn't timed out.
    right.swap(left);
  }
}

/// What can be done at once is, but not for ever: others of the thread want their turn.
TEST_F(SocketStreamTest, LetsOthersRunBetweenOperationsThatAreDoneAtOnce) {
  int turns = 0;
  std::function<void()> turn = [&] {
    ++turns;
    asio::post(context, turn);
  };
  asio::post(context, turn);
  const auto carry = [this, &turns]() -> awaitable<void> {
    Bytes one(1);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await left->write(as_bytes("x")));
    EXPECT_GE(turns, 10);
    EXPECT_LT(turns, 50);
    turns = 0;
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(co_await right->read_some(one), Result<std::size_t>(1));
    }
    EXPECT_GE(turns, 10);
    EXPECT_LT(turns, 50);
  };
  test::run(context, carry());
}

TEST_F(SocketStreamTest, WritesWhatDoesNotFitAtOnce) {
  Bytes much(1 << 20);
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<std::uint8_t>(i * 7 >> 3);
  TaskGroup group(context.get_executor(), "test");
  group.spawn([&]() -> awaitable<void> { EXPECT_TRUE(co_await left->write(much)); });
  Bytes got;
  const auto read = [&]() -> awaitable<void> {
    while (got.size() < much.size()) {
      const auto size = co_await right->read_some(buffer);
      if (!size) co_return;
      got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<long>(*size));
    }
  };
  test::run(context, read());
  test::run(context, group.drain());
  EXPECT_EQ(got, much);
}

TEST_F(SocketStreamTest, DestroyedWhileItsTimerIsArmed) {
  right->set_inactivity_limit(10ms);
  ASSERT_TRUE(test::run(context, left->write(as_bytes("x"))));
  ASSERT_TRUE(test::run(context, right->read_some(buffer)));
  right.reset();
  SystemClock clock;
  test::run(context, clock.sleep_for(30ms));
}

TEST_F(SocketStreamTest, DeadlineEndsAReadAndTheStreamLivesOn) {
  SystemClock clock;
  EXPECT_EQ(test::run(context, with_deadline(clock, 10ms, right->read_some(buffer))).error(),
            Errc::timed_out);
  ASSERT_TRUE(test::run(context, left->write(as_bytes("x"))));
  EXPECT_EQ(test::run(context, with_deadline(clock, 10s, right->read_some(buffer))),
            Result<std::size_t>(1));
}

TEST_F(SocketStreamTest, LingerCloseReadsWhatStillComes) {
  ASSERT_TRUE(test::run(context, left->write(as_bytes("unread request"))));
  ASSERT_TRUE(test::run(context, left->shutdown_write()));
  test::run(context, linger_close(*right, 1s, 1 << 20));
  // No RST: the other end reads an orderly end.
  EXPECT_EQ(test::run(context, left->read_some(buffer)).error(), Errc::end_of_stream);
}

}  // namespace
}  // namespace hagring
