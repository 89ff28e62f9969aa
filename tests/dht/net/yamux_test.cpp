// SPDX-License-Identifier: Apache-2.0
#include "dht/net/yamux.hpp"

#include <gtest/gtest.h>

#include "dht/net/error.hpp"
#include "tests/dht/net/yamux_session.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using test::Role;
using test::Type;
using Yamux = test::YamuxTest;

TEST(YamuxHeader, ReadsWhatItWrites) {
  const YamuxHeader header{Type::window, YamuxHeader::syn | YamuxHeader::rst, 0x01020304, 5};
  const auto bytes = header.encode();
  EXPECT_EQ(to_hex(bytes), "000100090102030400000005");
  YamuxHeader read;
  ASSERT_TRUE(YamuxHeader::decode(bytes, read));
  EXPECT_EQ(read, header);
}

TEST(YamuxHeader, RefusesWhatIsNotYamux) {
  for (const auto* hex : {"010000000000000100000000", "000400000000000100000000",
                          "000000000000000000000000", "000200010000000100000000"}) {
    const auto bytes = *from_hex(hex);
    YamuxHeader header;
    EXPECT_FALSE(YamuxHeader::decode(std::span(bytes).first<12>(), header)) << hex;
  }
}

TEST_F(Yamux, AcknowledgesAStreamOnce) {
  start(Role::listener, {}, 1);
  send({Type::data, YamuxHeader::syn, 1, 5}, "hello");
  auto stream = accept();
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::ack, 1, 0}));
  EXPECT_EQ(read(*stream, 5), "hello");
  ASSERT_TRUE(hagring::test::run(context, stream->write(as_bytes("hi"))));
  EXPECT_EQ(receive(), (YamuxHeader{Type::data, 0, 1, 2}));
  EXPECT_EQ(read(*peer, 2), "hi");
  ASSERT_TRUE(hagring::test::run(context, stream->shutdown_write()));
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::fin, 1, 0}));
  send({Type::window, YamuxHeader::fin, 1, 0});
  EXPECT_EQ(read_one(*stream).error(), Errc::end_of_stream);
  EXPECT_EQ(session->streams(), 0U);
}

TEST_F(Yamux, OpensOddStreamsAsTheDialler) {
  start(Role::dialler);
  const auto first = session->open();
  const auto second = session->open();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::syn, 1, 0}));
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::syn, 3, 0}));
}

TEST_F(Yamux, SendsNoMoreThanItsCredit) {
  start(Role::dialler);
  auto stream = *session->open();
  EXPECT_EQ(receive().flags, YamuxHeader::syn);
  const std::string text(300'000, 'x');
  group.spawn([&]() -> awaitable<void> { (void)co_await stream->write(as_bytes(text)); });
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(receive(), (YamuxHeader{Type::data, 0, 1, 65536}));
    read(*peer, 65536);
  }
  context.poll();
  // A reset's code would be no credit; a window's length is.
  send({Type::window, YamuxHeader::ack, 1, 100});
  EXPECT_EQ(receive(), (YamuxHeader{Type::data, 0, 1, 100}));
  read(*peer, 100);
  send({Type::window, YamuxHeader::rst, 1, 0x1001});
  EXPECT_EQ(read_one(*stream).error(), NetErrc::stream_reset);
}

TEST_F(Yamux, EndsAWriteThatWaitsWhenTheStreamIsFinished) {
  start(Role::dialler);
  auto stream = *session->open();
  EXPECT_EQ(receive().flags, YamuxHeader::syn);
  const std::string text(300'000, 'x');
  std::optional<Result<void>> written;
  group.spawn([&]() -> awaitable<void> { written = co_await stream->write(as_bytes(text)); });
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(receive().length, 65536U);
    read(*peer, 65536);
  }
  send({Type::window, YamuxHeader::fin, 1, 0});
  EXPECT_EQ(read_one(*stream).error(), Errc::end_of_stream);
  ASSERT_FALSE(written);
  ASSERT_TRUE(hagring::test::run(context, stream->shutdown_write()));
  EXPECT_EQ(session->streams(), 0U);
  context.restart();
  context.poll();
  ASSERT_TRUE(written);
  EXPECT_EQ(written->error(), boost::system::errc::broken_pipe);
}

TEST_F(Yamux, ReturnsCreditByHalfAWindow) {
  start(Role::listener);
  send({Type::data, YamuxHeader::syn, 1, 131072}, std::string(131072, 'x'));
  auto stream = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  read(*stream, 131072);
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, 0, 1, 131072}));
}

TEST_F(Yamux, EndsWithAPeerThatBreaksTheProtocol) {
  const std::vector<std::vector<YamuxHeader>> breaches = {
      {{Type::window, YamuxHeader::syn, 2, 0}},  // our own parity
      {{Type::window, YamuxHeader::syn, 1, 0}, {Type::window, YamuxHeader::syn, 1, 0}},
      {{Type::data, YamuxHeader::syn, 1, 262145}},  // more than the window
      {{Type::window, YamuxHeader::syn | YamuxHeader::fin, 1, 0}, {Type::data, 0, 1, 1}},
      {{Type::data, 0, 0, 0}},
  };
  for (const auto& breach : breaches) {
    start(Role::listener);
    for (const auto& header : breach) send(header);
    EXPECT_EQ(receive(), (YamuxHeader{Type::go_away, 0, 0, 1}));
    EXPECT_EQ(wait_for_end(), Errc::bad_message);
  }
}

TEST_F(Yamux, AnswersPingsAndIgnoresAnswersToNone) {
  start(Role::listener);
  send({Type::ping, YamuxHeader::ack, 0, 99});
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive(), (YamuxHeader{Type::ping, YamuxHeader::ack, 0, 7}));
}

TEST_F(Yamux, EndsWhenThePeerStopsAnsweringPings) {
  start(Role::listener);
  send({Type::ping, YamuxHeader::ack, 0, 1});
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive().length, 7U);  // so the answer before it has been taken
  clock.advance(10s);
  context.restart();
  context.poll();
  clock.advance(20s);
  EXPECT_EQ(receive(), (YamuxHeader{Type::ping, YamuxHeader::syn, 0, 2}));
  context.restart();
  context.poll();
  clock.advance(10s);
  EXPECT_EQ(wait_for_end(), NetErrc::keepalive_missed);
}

TEST_F(Yamux, ResetsStreamsAboveTheLimit) {
  start(Role::listener, {.max_inbound_streams = 1});
  send({Type::window, YamuxHeader::syn, 1, 0});
  send({Type::data, YamuxHeader::syn, 3, 2}, "xx");
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 3, 0x1002}));
  EXPECT_EQ(session->streams(), 1U);
}

TEST_F(Yamux, ResetsAStreamThatFillsTheMemoryOfAll) {
  start(Role::listener, {.max_buffered = 1000});
  send({Type::data, YamuxHeader::syn, 1, 600}, std::string(600, 'x'));
  send({Type::data, YamuxHeader::syn, 3, 600}, std::string(600, 'x'));
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 3, 0x1002}));
  auto stream = accept();
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::ack, 1, 0}));
  EXPECT_EQ(read(*stream, 600).size(), 600U);
}

TEST_F(Yamux, QueuesLittleForAPeerThatDoesNotReadWhenAllTogetherQueueMuch) {
  auto budget = std::make_shared<YamuxBudget>();
  budget->max_queued = 1000;
  start(Role::dialler, {.budget = budget});
  auto stream = *session->open();
  const std::string text(262'144, 'x');
  bool written = false;
  group.spawn(
      [&]() -> awaitable<void> { written = (co_await stream->write(as_bytes(text))).has_value(); });
  context.poll();
  EXPECT_FALSE(written);
  EXPECT_LE(budget->queued, 200'000U);
  EXPECT_EQ(receive().flags, YamuxHeader::syn);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(receive().length, 65536U);
    read(*peer, 65536);
  }
  context.restart();
  context.poll();
  EXPECT_TRUE(written);
  EXPECT_EQ(budget->queued, 0U);
}

TEST_F(Yamux, DrainsBytesOfStreamsThatAreGone) {
  start(Role::listener);
  send({Type::data, 0, 7, 3}, "abc");
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 7, 0}));
  send({Type::window, YamuxHeader::rst, 7, 0});
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive(), (YamuxHeader{Type::ping, YamuxHeader::ack, 0, 7}));
}

TEST_F(Yamux, OpensNothingAfterGoAwayAndServesWhatIsOpen) {
  start(Role::listener);
  send({Type::data, YamuxHeader::syn, 1, 1}, "x");
  send({Type::go_away, 0, 0, 0});
  auto stream = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  EXPECT_EQ(session->open().error(), NetErrc::session_closed);
  EXPECT_EQ(read(*stream, 1), "x");
}

TEST_F(Yamux, TellsItsStreamsThatTheConnectionEnded) {
  start(Role::listener);
  send({Type::window, YamuxHeader::syn, 1, 0});
  auto stream = accept();
  peer->close();
  EXPECT_EQ(wait_for_end(), Errc::end_of_stream);
  EXPECT_EQ(read_one(*stream).error(), NetErrc::session_closed);
  EXPECT_EQ(hagring::test::run(context, stream->write(as_bytes("x"))).error(),
            NetErrc::session_closed);
  EXPECT_EQ(hagring::test::run(context, session->accept()).error(), NetErrc::session_closed);
}

TEST_F(Yamux, EndsStreamsThatAreDropped) {
  start(Role::dialler);
  session->open()->reset();
  EXPECT_EQ(receive().flags, YamuxHeader::syn);
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 1, 0}));
  EXPECT_EQ(session->streams(), 0U);
}

/// Two sessions of ours carry more than the window each way at once.
TEST_F(Yamux, CarriesMuchBothWays) {
  auto [a, b] = hagring::test::make_memory_pipe(context.get_executor(), {.max_read = 7001});
  YamuxSession dialler(std::move(a), Role::dialler, clock, context.get_executor());
  YamuxSession listener(std::move(b), Role::listener, clock, context.get_executor());
  group.spawn([&]() -> awaitable<void> { (void)co_await dialler.run(); });
  group.spawn([&]() -> awaitable<void> { (void)co_await listener.run(); });
  const std::string text(1'000'000, 'x');
  auto near = *dialler.open();
  auto far = *hagring::test::run(context, listener.accept());
  TaskGroup transfers(context.get_executor(), "transfers");
  std::size_t whole = 0;
  const auto write = [&](ByteStream& stream) -> awaitable<void> {
    EXPECT_TRUE(co_await stream.write(as_bytes(text)));
    EXPECT_TRUE(co_await stream.shutdown_write());
  };
  const auto read_all = [&](ByteStream& stream) -> awaitable<void> {
    Bytes into(text.size());
    EXPECT_TRUE(co_await read_exactly(stream, into));
    whole += as_text(into) == text ? 1 : 0;
    const auto end = co_await stream.read_some(into);
    EXPECT_EQ(end.error(), Errc::end_of_stream);
  };
  for (auto* stream : {near.get(), far.get()}) {
    transfers.spawn([&, stream]() -> awaitable<void> { co_await write(*stream); });
    transfers.spawn([&, stream]() -> awaitable<void> { co_await read_all(*stream); });
  }
  hagring::test::run(context, transfers.drain());
  EXPECT_EQ(whole, 2U);
  dialler.close();
  listener.close();
  hagring::test::run(context, group.drain());
}

}  // namespace
}  // namespace hagring::dht
