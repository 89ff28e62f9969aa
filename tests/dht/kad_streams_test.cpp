// SPDX-License-Identifier: Apache-2.0
#include "dht/kad_streams.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dht/multiformats/varint.hpp"
#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;

struct Side {
  Side(asio::io_context& context, Clock& clock, Dialer& dialer)
      : host(context.get_executor(), clock, identity, dialer,
             {.listen = {asio::ip::make_address("127.0.0.1"), 0},
              .may_dial = [](const asio::ip::address&) { return true; }}) {}

  Identity identity = Identity::generate();
  Host host;
};

struct KadStreamsTest : testing::Test {
  KadStreamsTest() {
    server.serve([this](const PeerId& sender, const kad::Message& request) {
      senders.push_back(sender);
      return handle(request);
    });
    a.host.start();
    b.host.start();
  }
  ~KadStreamsTest() override {
    test::run(context, a.host.stop());
    test::run(context, b.host.stop());
  }

  /// The server's answer: an echo, no reply to ADD_PROVIDER, and an error for values.
  Result<std::optional<kad::Message>> handle(const kad::Message& request) {
    requests.push_back(request);
    if (request.type == kad::MessageType::put_value) return Errc::unsupported;
    if (request.type == kad::MessageType::add_provider) return std::optional<kad::Message>();
    return std::optional(request);
  }

  kad::PeerInfo server_info() const {
    return {to_kad(b.host.peer_id()), {to_kad(Multiaddr::of(b.host.endpoint()))}};
  }

  static kad::Message message(kad::MessageType type, std::string_view key) {
    kad::Message made;
    made.type = type;
    made.key.assign(key.begin(), key.end());
    return made;
  }

  Result<kad::Message> ask(kad::Message request, Duration limit = 5s) {
    return test::run(context, client.ask(server_info(), std::move(request), limit));
  }

  std::unique_ptr<ByteStream> raw_stream() {
    auto stream = test::run(
        context, a.host.open(b.host.peer_id(), {Multiaddr::of(b.host.endpoint())}, kKadProtocol));
    return std::move(stream.value());
  }

  asio::io_context context;
  SystemClock clock;
  SystemResolver resolver;
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  Side a{context, clock, dialer};
  Side b{context, clock, dialer};
  KadStreams client{clock, a.host, {}};
  KadStreams server{clock, b.host, {.served_idle = 300ms, .max_request = 4096}};
  std::vector<kad::Message> requests;
  std::vector<PeerId> senders;
};

TEST_F(KadStreamsTest, AskGetsTheReplyOfAProvenPeer) {
  const auto request = message(kad::MessageType::find_node, "key");
  const auto reply = ask(request);
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(*reply, request);
  EXPECT_THAT(senders, testing::ElementsAre(a.host.peer_id()));
}

TEST_F(KadStreamsTest, KnowsWhereAConnectionEndsWhateverIsClaimed) {
  auto claims = server_info();
  EXPECT_FALSE(client.remote(claims).known()) << "there is none";
  ASSERT_TRUE(ask(message(kad::MessageType::find_node, "key")));
  claims.addresses = {kad::Multiaddr(Bytes{0x04, 10, 1, 2, 3, 0x06, 0x13, 0x89})};
  EXPECT_EQ(client.remote(claims), kad::Ip(Bytes{127, 0, 0, 1}));
  EXPECT_EQ(server.remote({to_kad(a.host.peer_id()), {}}), kad::Ip(Bytes{127, 0, 0, 1}));
}

TEST_F(KadStreamsTest, StreamsAreReused) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(ask(message(kad::MessageType::find_node, "key")));
  EXPECT_EQ(a.host.counters().connections, 1U);
  EXPECT_LE(a.host.counters().streams, 2U);  // identify's may be on its way out
}

TEST_F(KadStreamsTest, MoreRequestsThanStreamsAreAnsweredInTurn) {
  std::size_t answered = 0;
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    for (int i = 0; i < 200; ++i) {
      group.spawn([&]() -> awaitable<void> {
        const auto reply =
            co_await client.ask(server_info(), message(kad::MessageType::find_node, "key"), 20s);
        EXPECT_TRUE(reply) << reply.error().message();
        answered += reply ? 1 : 0;
      });
    }
    co_await group.drain();
  }());
  EXPECT_EQ(answered, 200U);
  EXPECT_EQ(a.host.counters().refused, 0U);
}

TEST_F(KadStreamsTest, AStreamThatTheServerHasEndedIsReplaced) {
  ASSERT_TRUE(ask(message(kad::MessageType::find_node, "first")));
  // The server lets an idle stream go.
  const auto end = clock.now() + 5s;
  while (b.host.counters().streams > 0 && clock.now() < end) context.run_one_for(10ms);
  const auto reply = ask(message(kad::MessageType::find_node, "second"));
  EXPECT_TRUE(reply) << reply.error().message();
}

TEST_F(KadStreamsTest, TellsManyOnOneStreamInOrder) {
  std::vector<kad::Message> told;
  for (int i = 0; i < 50; ++i) {
    told.push_back(message(kad::MessageType::add_provider, std::to_string(i)));
  }
  ASSERT_TRUE(test::run(context, client.tell(server_info(), told, 5s)));
  // A question on the same stream comes behind them.
  ASSERT_TRUE(ask(message(kad::MessageType::ping, "")));
  ASSERT_EQ(requests.size(), 51U);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(as_text(requests[i].key), std::to_string(i));
}

TEST_F(KadStreamsTest, WhatTheServerRefusesResetsTheStreamOnly) {
  EXPECT_FALSE(ask(message(kad::MessageType::put_value, "key")));
  EXPECT_TRUE(ask(message(kad::MessageType::find_node, "key")));
  EXPECT_EQ(a.host.counters().connections, 1U);
}

TEST_F(KadStreamsTest, ARequestThatIsTooLargeIsNotRead) {
  auto stream = raw_stream();
  Bytes announced;
  append_varint(announced, 1U << 20);
  ASSERT_TRUE(test::run(context, stream->write(announced)));
  std::uint8_t byte = 0;
  const auto read = test::run(context, stream->read_some(MutableBytes(&byte, 1)));
  EXPECT_FALSE(read);
  EXPECT_TRUE(requests.empty());
}

TEST_F(KadStreamsTest, ARequestThatNeverEndsCostsItsStream) {
  auto stream = raw_stream();
  const Bytes begun{100, 8, 4};
  ASSERT_TRUE(test::run(context, stream->write(begun)));
  std::uint8_t byte = 0;
  EXPECT_FALSE(test::run(context, stream->read_some(MutableBytes(&byte, 1)), 5s));
  EXPECT_TRUE(requests.empty());
}

TEST_F(KadStreamsTest, GarbageResetsTheStream) {
  auto stream = raw_stream();
  ASSERT_TRUE(test::run(context, write_delimited(*stream, as_bytes("\xff\xff\xff\xff"))));
  std::uint8_t byte = 0;
  EXPECT_FALSE(test::run(context, stream->read_some(MutableBytes(&byte, 1)), 5s));
}

TEST_F(KadStreamsTest, NobodyThereIsAnErrorWithinTheLimit) {
  const auto before = clock.now();
  const kad::PeerInfo nobody{server_info().id,
                             {to_kad(Multiaddr::parse("/ip4/127.0.0.1/tcp/1").value())}};
  const auto reply =
      test::run(context, client.ask(nobody, message(kad::MessageType::ping, ""), 500ms));
  EXPECT_FALSE(reply);
  EXPECT_LT(clock.now() - before, 5s);
}

}  // namespace
}  // namespace hagring::dht
