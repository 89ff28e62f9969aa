// SPDX-License-Identifier: Apache-2.0
// What sessions take of the budget that they share: all of it comes back, however they end.
#include <gtest/gtest.h>

#include <functional>

#include "dht/net/error.hpp"
#include "tests/dht/net/yamux_session.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using test::Role;
using test::Type;

struct YamuxBudgetOf : test::YamuxTest {
  std::shared_ptr<YamuxBudget> budget = std::make_shared<YamuxBudget>();
  std::vector<std::unique_ptr<ByteStream>> streams;

  void settle() {
    context.restart();
    context.poll();
  }
  void send_text(std::uint32_t id, std::uint16_t flags, std::size_t size) {
    send({Type::data, flags, id, static_cast<std::uint32_t>(size)}, std::string(size, 'x'));
  }
  /// A session in the midst of things: streams that were accepted, read in part, finished by one
  /// side, not accepted yet, opened by us, and a write that waits.
  void start_busy() {
    start(Role::listener, {.budget = budget});
    send_text(1, YamuxHeader::syn, 1000);
    send_text(3, YamuxHeader::syn | YamuxHeader::fin, 2000);
    send_text(5, YamuxHeader::syn, 3000);
    for (int i = 0; i < 3; ++i) streams.push_back(accept());
    read(*streams[0], 400);
    EXPECT_TRUE(hagring::test::run(context, streams[2]->shutdown_write()));
    send_text(7, YamuxHeader::syn, 4000);
    streams.push_back(*session->open());
    group.spawn([stream = streams[3].get()]() -> awaitable<void> {
      const Bytes much(300'000, 'y');
      (void)co_await stream->write(much);
    });
    settle();
    EXPECT_EQ(budget->streams, 4U);  // not the one of ours
    EXPECT_EQ(budget->buffered, 600U + 2000 + 3000 + 4000);
    EXPECT_GT(budget->queued, 0U);
  }
  void expect_all_back() {
    hagring::test::run(context, group.drain());
    streams.clear();
    session.reset();
    peer.reset();
    settle();
    EXPECT_EQ(budget->streams, 0U);
    EXPECT_EQ(budget->buffered, 0U);
    EXPECT_EQ(budget->queued, 0U);
  }
};

TEST_F(YamuxBudgetOf, IsWholeAgainAfterEveryEndOfASession) {
  // What our write, which waits, ends with.
  const auto broken_pipe = make_error_code(boost::system::errc::broken_pipe);
  const std::vector<std::pair<error_code, std::function<void()>>> ends = {
      {broken_pipe, [&] { peer->close(); }},
      {NetErrc::session_closed, [&] { session->close(); }},
      {NetErrc::session_closed, [&] { session.reset(); }},
      {Errc::bad_message, [&] { send({Type::window, YamuxHeader::syn, 2, 0}); }},
      {broken_pipe,
       [&] {
         send({Type::data, 0, 1, 5000}, "only this");
         settle();
         peer->close();
       }},
      {NetErrc::limit_reached,
       [&] {
         const auto ping = YamuxHeader{Type::ping, YamuxHeader::syn, 0, 1}.encode();
         Bytes flood;
         while (flood.size() < 2'000'000) flood.insert(flood.end(), ping.begin(), ping.end());
         (void)hagring::test::run(context, peer->write(flood));
       }},
      {NetErrc::keepalive_missed, [&] { clock.advance(10s); }},
  };
  for (const auto& [reason, end] : ends) {
    SCOPED_TRACE(reason.message());
    start_busy();
    end();
    settle();
    clock.advance(1s);  // a peer that doesn't read is given so long to see a GOAWAY
    EXPECT_EQ(wait_for_end(), reason);
    expect_all_back();
  }
}

TEST_F(YamuxBudgetOf, IsWholeAgainWhenTheSessionGoesLast) {
  start_busy();
  streams.erase(streams.begin(), streams.begin() + 3);
  EXPECT_EQ(budget->buffered, 4000U);
  streams.front()->close();
  settle();
  streams.clear();
  EXPECT_EQ(budget->streams, 1U);
  send({Type::window, YamuxHeader::rst, 7, 0});
  settle();
  EXPECT_EQ(budget->buffered, 0U);
  EXPECT_EQ(budget->streams, 0U);
  session->close();
  expect_all_back();
}

TEST_F(YamuxBudgetOf, HoldsOnlyWhatCanStillBeReadOfASessionThatEnded) {
  start_busy();
  session->close();
  hagring::test::run(context, group.drain());
  session.reset();
  EXPECT_EQ(budget->streams, 3U);
  EXPECT_EQ(budget->buffered, 600U + 2000 + 3000);
  EXPECT_EQ(budget->queued, 0U);
  EXPECT_EQ(read(*streams[1], 2000).size(), 2000U);
  EXPECT_EQ(budget->buffered, 600U + 3000);
  expect_all_back();
}

TEST_F(YamuxBudgetOf, IsKeptByAGreatFrameThatBeganWhileThereWasRoom) {
  budget->max_buffered = 40'000;
  budget->share_of_buffered = 0;
  start(Role::listener, {.budget = budget});
  send({Type::data, YamuxHeader::syn, 1, 30'000});
  settle();
  budget->buffered += 25'000;  // another session is faster
  ASSERT_TRUE(hagring::test::run(context, peer->write(Bytes(30'000))));
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 1, 0x1002}));
  EXPECT_EQ(budget->buffered, 25'000U);
  budget->buffered -= 25'000;
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive().length, 7U);  // the rest of the frame was passed over
  session->close();
  expect_all_back();
}

/// A number may come back after a reset; what is done with the stream that had it before is no
/// business of the new one.
TEST_F(YamuxBudgetOf, AStreamIsNotEndedByAnotherThatHadItsNumber) {
  start(Role::listener, {.budget = budget});
  send({Type::window, YamuxHeader::syn, 1, 0});
  auto old = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  send({Type::window, YamuxHeader::rst, 1, 0});
  send_text(1, YamuxHeader::syn, 5);
  auto stream = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  EXPECT_EQ(read_one(*old).error(), NetErrc::stream_reset);
  old.reset();
  EXPECT_EQ(session->streams(), 1U);
  EXPECT_EQ(read(*stream, 5), "xxxxx");
  send({Type::window, YamuxHeader::fin, 1, 0});
  EXPECT_EQ(read_one(*stream).error(), Errc::end_of_stream);
  stream.reset();
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, 1, 0}));
  session->close();
  expect_all_back();
}

}  // namespace
}  // namespace hagring::dht
