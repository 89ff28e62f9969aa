// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/http/exchange.hpp"
#include "userspace/http/body_writer.hpp"

namespace hagring::http {
namespace {

using Kind = BodyLength::Kind;

struct Write : testing::Test {
  bool response(const Response& message, bool head_only = false) {
    return test::run(exchange.context, exchange.connection.write_response(message, head_only))
        .has_value();
  }
  bool request(const Request& message) {
    return test::run(exchange.context, exchange.connection.write_request(message)).has_value();
  }
  Result<void> body(std::string_view part) {
    return test::run(exchange.context, exchange.connection.write_body(as_bytes(part)));
  }
  Result<void> finish() { return test::run(exchange.context, exchange.connection.finish_body()); }
  void ask(std::string_view head) {
    exchange.send(head);
    ASSERT_TRUE(exchange.request());
  }
  Exchange exchange;
};

TEST_F(Write, FramingIsMadeFromTheBodyAlone) {
  Response message;
  message.headers = {{"Content-Length", "99"}, {"Transfer-Encoding", "gzip"}, {"A", "b"}};
  message.body = {Kind::length, 2};
  ASSERT_TRUE(response(message));
  ASSERT_TRUE(body("ok"));
  ASSERT_TRUE(finish());
  EXPECT_EQ(exchange.received(), "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok");
}

TEST_F(Write, ChunksWhatHasNoKnownLength) {
  ASSERT_TRUE(response({.body = {Kind::chunked, 0}}));
  const std::string large(40'000, 'x');
  ASSERT_TRUE(body("hello"));
  ASSERT_TRUE(body(""));
  ASSERT_TRUE(body(large));
  ASSERT_TRUE(finish());
  EXPECT_EQ(exchange.received(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9c40\r\n" + large +
                "\r\n0\r\n\r\n");
  EXPECT_TRUE(exchange.connection.reusable());
}

/// Takes what is written, and counts the writes.
class Taker final : public ByteStream {
 public:
  awaitable<Result<std::size_t>> read_some(MutableBytes) override { co_return Errc::cancelled; }
  awaitable<Result<void>> write(ByteView from) override {
    ++writes;
    taken += as_text(from);
    co_return Result<void>();
  }
  awaitable<Result<void>> shutdown_write() override { co_return Result<void>(); }
  void close() override {}
  void set_inactivity_limit(Duration) override {}

  int writes = 0;
  std::string taken;
};

TEST(BodyWriter, ChunkOfAPieceIsOneWriteAndALargeOneIsNotCopied) {
  asio::io_context context;
  for (const auto& [size, writes] : {std::pair{64 * 1024 + 1200, 1}, std::pair{100'000, 3}}) {
    const std::string part(static_cast<std::size_t>(size), 'x');
    Taker taker;
    BodyWriter writer({Kind::chunked, 0});
    ASSERT_TRUE(test::run(context, writer.write(taker, as_bytes(part))));
    EXPECT_EQ(taker.writes, writes);
    char length[16];
    std::snprintf(length, sizeof length, "%x\r\n", static_cast<unsigned>(size));
    EXPECT_EQ(taker.taken, length + part + "\r\n");
  }
}

TEST_F(Write, ChunksBecomeUntilCloseForAnOldClient) {
  ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(response({.body = {Kind::chunked, 0}}));
  ASSERT_TRUE(body("hello"));
  ASSERT_TRUE(finish());
  EXPECT_EQ(exchange.received(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  EXPECT_FALSE(exchange.connection.reusable());
}

TEST_F(Write, AnswersHeadWithoutABody) {
  ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(response({.body = {Kind::length, 7}}));
  EXPECT_EQ(exchange.received(), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
  EXPECT_TRUE(exchange.connection.reusable());
  ASSERT_TRUE(exchange.request());
  ASSERT_TRUE(response({.status = 304, .body = {Kind::length, 7}}));
  EXPECT_EQ(exchange.received(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
}

TEST_F(Write, SaysThatTheConnectionCloses) {
  ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(response({.headers = {{"Connection", "keep-alive, upgrade"}}}));
  EXPECT_EQ(exchange.received(),
            "HTTP/1.1 200 OK\r\nConnection: close, upgrade\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(exchange.connection.reusable());
}

TEST_F(Write, NoContentLengthWith204And1xx) {
  ASSERT_TRUE(response({.status = 100}));
  ASSERT_TRUE(response({.status = 204}));
  EXPECT_EQ(exchange.received(), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
}

TEST_F(Write, HoldsTheCallerToWhatWasAnnounced) {
  {
    ASSERT_TRUE(response({.body = {Kind::length, 3}}));
    EXPECT_EQ(body("four").error(), Errc::bad_message);
    EXPECT_FALSE(exchange.connection.reusable());
  }
  {
    Exchange other;
    ASSERT_TRUE(
        test::run(other.context, other.connection.write_response({.body = {Kind::length, 3}})));
    other.connection.count_body_bytes(2);
    EXPECT_EQ(test::run(other.context, other.connection.finish_body()).error(), Errc::bad_message);
  }
  {
    Exchange other;
    ASSERT_TRUE(
        test::run(other.context, other.connection.write_response({.body = {Kind::length, 3}})));
    other.connection.count_body_bytes(3);
    EXPECT_TRUE(test::run(other.context, other.connection.finish_body()));
    EXPECT_TRUE(other.connection.reusable());
  }
}

TEST_F(Write, RefusesWhatWouldBreakTheMessage) {
  EXPECT_FALSE(response({.headers = {{"A", "b\r\nSet-Cookie: c"}}}));
  EXPECT_FALSE(response({.headers = {{"A", std::string("b\0c", 3)}}}));
  EXPECT_FALSE(response({.headers = {{"A b", "c"}}}));
  EXPECT_FALSE(response({.headers = {{"", "c"}}}));
  EXPECT_FALSE(response({.reason = "OK\r\nA: b"}));
  EXPECT_FALSE(request({.target = "/a b"}));
  EXPECT_FALSE(request({.target = "/a\r\nHost: x"}));
  EXPECT_FALSE(request({.target = ""}));
  EXPECT_FALSE(request({.method = "GET /"}));
  EXPECT_FALSE(request({.body = {Kind::until_close, 0}}));
  EXPECT_TRUE(request({.target = "/fine"}));
}

TEST_F(Write, RequestsCarryTheirFraming) {
  ASSERT_TRUE(request({.method = "POST", .target = "/t", .headers = {{"Host", "h"}}}));
  EXPECT_EQ(exchange.received(), "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  exchange.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(exchange.response("POST"));
  EXPECT_TRUE(exchange.connection.reusable());
  ASSERT_TRUE(request({.target = "/u", .headers = {{"Host", "h"}}, .keep_alive = false}));
  EXPECT_EQ(exchange.received(), "GET /u HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(exchange.connection.reusable());
}

}  // namespace
}  // namespace hagring::http
