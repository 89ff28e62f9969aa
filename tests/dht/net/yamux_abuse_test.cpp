// SPDX-License-Identifier: Apache-2.0
// Peers that flood, stall, send things out of order or never end.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>

#include "dht/net/error.hpp"
#include "tests/dht/net/yamux_session.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using test::Role;
using test::Type;

struct YamuxAbuse : test::YamuxTest {
  void send_raw(ByteView bytes) { ASSERT_TRUE(hagring::test::run(context, peer->write(bytes))); }
  /// Sends as much as is taken, while nothing is read from the session.
  void flood(YamuxHeader header, std::size_t count) {
    const auto encoded = header.encode();
    Bytes bytes;
    for (std::size_t i = 0; i < count; ++i) {
      bytes.insert(bytes.end(), encoded.begin(), encoded.end());
    }
    (void)hagring::test::run(context, peer->write(bytes));
  }
  void settle() {
    context.restart();
    context.poll();
  }
};

TEST_F(YamuxAbuse, KeepsNoMoreThanTheLimitOfAFloodOfStreams) {
  start(Role::listener, {.max_inbound_streams = 4});
  for (std::uint32_t id = 1; id < 201; id += 2) send({Type::window, YamuxHeader::syn, id, 0});
  for (std::uint32_t id = 9; id < 201; id += 2) {
    EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::rst, id, 0x1002}));
  }
  EXPECT_EQ(session->streams(), 4U);
}

TEST_F(YamuxAbuse, KeepsNoMemoryOfWhatHasBeenRead) {
  start(Role::listener);
  const auto allocated = [] {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  constexpr std::uint32_t kSize = 200'000;
  std::vector<std::unique_ptr<ByteStream>> streams;
  const auto before = allocated();
  for (std::uint32_t id = 1; id < 65; id += 2) {
    send({Type::data, YamuxHeader::syn, id, kSize}, std::string(kSize, 'x'));
    streams.push_back(accept());
    EXPECT_EQ(receive().flags, YamuxHeader::ack);
    // The last byte isn't asked for.
    read(*streams.back(), kSize - 1);
    EXPECT_EQ(receive().type, Type::window);
  }
  EXPECT_LT(allocated(), before + std::size_t{1} * 1024 * 1024);
}

TEST_F(YamuxAbuse, FillsNoLog) {
  start(Role::listener, {.max_inbound_streams = 0});
  testing::internal::CaptureStderr();
  for (std::uint32_t id = 1; id < 101; id += 2) send({Type::window, YamuxHeader::syn, id, 0});
  settle();
  const auto lines = testing::internal::GetCapturedStderr();
  EXPECT_NE(lines.find("a peer has too many streams open on a connection"), std::string::npos);
  EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << lines;
}

TEST_F(YamuxAbuse, ForgetsStreamsThatArriveAndAreResetAtOnce) {
  start(Role::listener, {.max_inbound_streams = 4});
  for (std::uint32_t id = 1; id < 201; id += 2) {
    send({Type::data, YamuxHeader::syn | YamuxHeader::rst, id, 3}, "abc");
  }
  send({Type::window, YamuxHeader::syn, 201, 0});
  settle();
  EXPECT_EQ(session->streams(), 1U);
  const auto stream = accept();  // the one that is left, not one of those that are gone
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::ack, 201, 0}));
}

TEST_F(YamuxAbuse, TellsAStreamFromALaterOneOfTheSameNumber) {
  start(Role::listener);
  send({Type::window, YamuxHeader::syn, 1, 0});
  auto first = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  send({Type::window, YamuxHeader::rst, 1, 0});
  send({Type::window, YamuxHeader::syn, 1, 0});
  auto second = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  first.reset();
  EXPECT_EQ(session->streams(), 1U);
  send({Type::data, 0, 1, 5}, "hello");
  EXPECT_EQ(read(*second, 5), "hello");
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive().type, Type::ping);  // nothing was reset meanwhile
}

TEST_F(YamuxAbuse, EndsWithAPeerThatPingsForEverAndDoesNotRead) {
  start(Role::listener);
  flood({Type::ping, YamuxHeader::syn, 0, 1}, 200'000);
  EXPECT_EQ(wait_for_end(), NetErrc::limit_reached);
}

TEST_F(YamuxAbuse, EndsWithAPeerWhoseStreamsAllMustBeReset) {
  start(Role::listener, {.max_inbound_streams = 0});
  flood({Type::window, YamuxHeader::syn, 1, 0}, 200'000);
  EXPECT_EQ(wait_for_end(), NetErrc::limit_reached);
}

TEST_F(YamuxAbuse, EndsWithAPeerThatSendsMoreThanItsCreditLittleByLittle) {
  start(Role::listener);
  send({Type::window, YamuxHeader::syn, 1, 0});
  for (int i = 0; i < 16; ++i) send({Type::data, 0, 1, 16384}, std::string(16384, 'x'));
  send({Type::ping, YamuxHeader::syn, 0, 7});
  EXPECT_EQ(receive().type, Type::ping);  // the whole window was in order
  send({Type::data, 0, 1, 1}, "x");
  EXPECT_EQ(receive(), (YamuxHeader{Type::go_away, 0, 0, 1}));
  EXPECT_EQ(wait_for_end(), Errc::bad_message);
}

TEST_F(YamuxAbuse, BoundsACreditThatOverflows) {
  start(Role::dialler);
  auto stream = *session->open();
  EXPECT_EQ(receive().flags, YamuxHeader::syn);
  for (int i = 0; i < 3; ++i) send({Type::window, 0, 1, UINT32_MAX});
  const std::string text(300'000, 'x');
  group.spawn([&]() -> awaitable<void> { (void)co_await stream->write(as_bytes(text)); });
  for (std::size_t left = text.size(); left > 0;) {
    const auto header = receive();
    ASSERT_EQ(header.type, Type::data);
    ASSERT_LE(header.length, left);
    read(*peer, header.length);
    left -= header.length;
  }
}

TEST_F(YamuxAbuse, EndsAtTypesAndVersionsThatItDoesNotKnow) {
  for (const auto* hex : {"000400000000000100000000", "00ff00000000000100000000",
                          "010000000000000100000000", "ffffffffffffffffffffffff"}) {
    start(Role::listener);
    send_raw(*from_hex(hex));
    EXPECT_EQ(receive(), (YamuxHeader{Type::go_away, 0, 0, 1})) << hex;
    EXPECT_EQ(wait_for_end(), Errc::bad_message) << hex;
  }
}

TEST_F(YamuxAbuse, TakesFramesOutOfOrderAsSuch) {
  start(Role::listener);
  // Credit, the end and a reset of a stream that nobody opened change nothing.
  send({Type::window, 0, 1, 5});
  send({Type::window, YamuxHeader::fin, 1, 0});
  send({Type::window, YamuxHeader::rst, 1, 0});
  send({Type::window, YamuxHeader::ack, 1, 0});
  send({Type::go_away, 0, 0, 0});
  send({Type::go_away, 0, 0, 9});
  // A peer that has said that it goes may still open streams.
  send({Type::data, YamuxHeader::syn | YamuxHeader::fin, 1, 2}, "hi");
  auto stream = accept();
  EXPECT_EQ(receive(), (YamuxHeader{Type::window, YamuxHeader::ack, 1, 0}));
  EXPECT_EQ(read(*stream, 2), "hi");
  EXPECT_EQ(read_one(*stream).error(), Errc::end_of_stream);
}

TEST_F(YamuxAbuse, EndsWithAPeerThatNeverEndsAHeader) {
  start(Role::listener);
  send({Type::ping, YamuxHeader::ack, 0, 1});
  send_raw(Bytes(11));
  settle();
  EXPECT_FALSE(ended);
  clock.advance(10s);  // the first ping was answered
  settle();
  clock.advance(20s);
  settle();
  clock.advance(10s);
  EXPECT_EQ(wait_for_end(), NetErrc::keepalive_missed);
}

TEST_F(YamuxAbuse, GivesWhatCameOfAFrameThatIsCutOff) {
  start(Role::listener);
  send({Type::data, YamuxHeader::syn, 1, 100}, "only this");
  auto stream = accept();
  EXPECT_EQ(receive().flags, YamuxHeader::ack);
  EXPECT_EQ(read(*stream, 9), "only this");
  peer->close();
  EXPECT_EQ(wait_for_end(), Errc::end_of_stream);
  EXPECT_EQ(read_one(*stream).error(), NetErrc::session_closed);
}

TEST_F(YamuxAbuse, SaysThatAHeaderWasCutOff) {
  start(Role::listener);
  send_raw(Bytes(5));
  peer->close();
  EXPECT_EQ(wait_for_end(), Errc::truncated);
}

TEST_F(YamuxAbuse, EndsThoughThePeerNeitherReadsNorGoes) {
  start(Role::listener);
  flood({Type::ping, YamuxHeader::syn, 0, 1}, 10'000);  // more answers than the pipe takes
  send_raw(*from_hex("00ff00000000000100000000"));
  EXPECT_EQ(wait_for_end(), Errc::bad_message);
}

}  // namespace
}  // namespace hagring::dht
