// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "dht/net/exact.hpp"
#include "dht/net/yamux.hpp"
#include "dht/net/yamux_frame.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht::test {

using Type = YamuxHeader::Type;
using Role = YamuxSession::Role;

/// One session, and the bytes of its peer in the test's hands.
struct YamuxTest : testing::Test {
  asio::io_context context;
  hagring::test::ManualClock clock;
  TaskGroup group{context.get_executor(), "test"};
  std::unique_ptr<ByteStream> peer;
  std::unique_ptr<YamuxSession> session;
  std::optional<error_code> ended;

  void start(Role role, YamuxOptions options = {}, std::size_t max_read = SIZE_MAX) {
    auto [a, b] = hagring::test::make_memory_pipe(context.get_executor(), {.max_read = max_read});
    peer = std::move(a);
    session =
        std::make_unique<YamuxSession>(std::move(b), role, clock, context.get_executor(), options);
    group.spawn([this]() -> awaitable<void> { ended = co_await session->run(); });
    EXPECT_EQ(receive(), (YamuxHeader{Type::ping, YamuxHeader::syn, 0, 1}));
  }
  ~YamuxTest() override {
    if (session) session->close();
    group.cancel();
    hagring::test::run(context, group.drain());
  }

  void send(YamuxHeader header, std::string_view payload = {}) {
    const auto bytes = header.encode();
    ASSERT_TRUE(hagring::test::run(context, peer->write(bytes)));
    ASSERT_TRUE(hagring::test::run(context, peer->write(as_bytes(payload))));
  }
  YamuxHeader receive() {
    std::array<std::uint8_t, YamuxHeader::kSize> bytes{};
    EXPECT_TRUE(hagring::test::run(context, read_exactly(*peer, bytes)));
    YamuxHeader header{Type::go_away, 0xffff, 0, 0};
    EXPECT_TRUE(YamuxHeader::decode(bytes, header));
    return header;
  }
  std::string read(ByteStream& from, std::size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(hagring::test::run(context, read_exactly(from, bytes)));
    return std::string(as_text(bytes));
  }
  Result<std::size_t> read_one(ByteStream& from) {
    Bytes one(1);
    return hagring::test::run(context, from.read_some(one));
  }
  std::unique_ptr<ByteStream> accept() { return *hagring::test::run(context, session->accept()); }
  error_code wait_for_end() {
    hagring::test::run(context, group.drain());
    return ended.value();
  }
};

}  // namespace hagring::dht::test
