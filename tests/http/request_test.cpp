// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/http/exchange.hpp"
#include "tests/support/told_to_stop.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::http {
namespace {

using namespace std::chrono_literals;
using Kind = BodyLength::Kind;

/// Cuts the stream at every byte.
constexpr test::PipeOptions kByteByByte{.max_read = 1, .capacity = 64 * 1024};

TEST(ReadRequest, GivesLineFieldsAndNoBody) {
  for (const auto& options : {test::PipeOptions{}, kByteByByte}) {
    Exchange exchange(options);
    exchange.send(
        "GET /v2/library/nginx/manifests/1.25?ns=docker.io HTTP/1.1\r\n"
        "Host: registry-1.docker.io\r\naccept:  a/b \r\nAccept: c/d\r\nX-Empty:\r\n\r\n");
    const auto request = exchange.request();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->method, "GET");
    EXPECT_EQ(request->target, "/v2/library/nginx/manifests/1.25?ns=docker.io");
    EXPECT_EQ(request->headers.get("HOST"), "registry-1.docker.io");
    EXPECT_EQ(request->headers.get("Accept"), "a/b");
    EXPECT_EQ(request->headers.get("x-empty"), "");
    EXPECT_EQ(std::distance(request->headers.begin(), request->headers.end()), 4);
    EXPECT_EQ(request->body.kind, Kind::none);
    EXPECT_TRUE(request->keep_alive);
    EXPECT_TRUE(exchange.connection.body_ended());
    EXPECT_EQ(exchange.body(), Result<std::string>(""));
  }
}

TEST(ReadRequest, ReadsBodiesOfKnownLengthAndChunks) {
  for (const auto& options : {test::PipeOptions{}, kByteByByte}) {
    for (const std::size_t piece : {1U, 3U, 1000U}) {
      Exchange exchange(options);
      exchange.send(
          "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789"
          "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
          "4;name=\"a;b\"\r\nabcd\r\n00a\r\n\r\n\r\n345678\r\n0\r\nTrailer: x\r\n\r\n"
          "GET /c HTTP/1.1\r\nHost: h\r\n\r\n");
      const auto first = exchange.request();
      ASSERT_TRUE(first);
      EXPECT_EQ(first->body.bytes, 10U);
      EXPECT_EQ(exchange.body(piece), Result<std::string>("0123456789"));
      const auto second = exchange.request();
      ASSERT_TRUE(second);
      EXPECT_EQ(second->body.kind, Kind::chunked);
      EXPECT_EQ(exchange.body(piece), Result<std::string>("abcd\r\n\r\n345678"));
      const auto third = exchange.request();
      ASSERT_TRUE(third);
      EXPECT_EQ(third->target, "/c");
    }
  }
}

TEST(ReadRequest, AnswersPipelinedRequestsInOrder) {
  Exchange exchange;
  exchange.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  for (const std::string target : {"/1", "/2"}) {
    const auto request = exchange.request();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->target, target);
    ASSERT_TRUE(test::run(exchange.context, exchange.connection.write_response_with({}, target)));
    EXPECT_TRUE(exchange.connection.reusable());
  }
  EXPECT_EQ(exchange.received(),
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/1"
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/2");
  exchange.end();
  EXPECT_EQ(exchange.request().error(), Errc::end_of_stream);
}

TEST(ReadRequest, RefusesTheNextWhileABodyIsUnread) {
  Exchange exchange;
  exchange.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
  ASSERT_TRUE(exchange.request());
  EXPECT_FALSE(exchange.connection.reusable());
  EXPECT_EQ(exchange.request().error(), Errc::bad_message);
}

TEST(ReadRequest, KnowsWhenTheConnectionMayGoOn) {
  const auto keeps_alive = [](std::string_view head) {
    Exchange exchange;
    exchange.send(head);
    const auto request = exchange.request();
    return request && request->keep_alive;
  };
  EXPECT_TRUE(keeps_alive("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keeps_alive("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, CLOSE\r\n\r\n"));
  EXPECT_FALSE(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(ReadRequest, StartsWithWhatWasReadBefore) {
  asio::io_context context;
  auto [far, near] = test::make_memory_pipe(context.get_executor());
  Connection connection(std::move(near), as_bytes("GET /early HTTP/1.1\r\nHos"));
  ASSERT_TRUE(test::run(context, far->write(as_bytes("t: h\r\n\r\nrest"))));
  const auto request = test::run(context, connection.read_request());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->target, "/early");
  EXPECT_EQ(as_text(connection.take_read_ahead()), "rest");
}

TEST(ReadRequest, AMalformedRequestMayStillBeAnswered) {
  Exchange exchange;
  exchange.send("nonsense\r\n\r\n");
  EXPECT_EQ(exchange.request().error(), Errc::bad_message);
  ASSERT_TRUE(
      test::run(exchange.context, exchange.connection.write_response_with({.status = 400}, "")));
  EXPECT_EQ(exchange.received(),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(exchange.connection.reusable());
}

TEST(ReadRequest, LimitsHeadsAndFields) {
  Limits limits;
  limits.head_bytes = 1000;
  limits.fields = 5;
  {
    Exchange exchange({}, limits);
    exchange.send("GET /" + std::string(2000, 'a'));
    EXPECT_EQ(exchange.request().error(), Errc::too_large);
    EXPECT_FALSE(exchange.connection.reusable());
  }
  {
    Exchange exchange({}, limits);
    std::string head = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 5; ++i) head += "a: b\r\n";
    exchange.send(head + "\r\n");
    EXPECT_EQ(exchange.request().error(), Errc::too_large);
  }
  {
    Exchange exchange({}, limits);
    exchange.send("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(955, 'x') + "\r\n\r\n");
    EXPECT_TRUE(exchange.request());
  }
}

TEST(ReadRequest, EndsWhenTheClientTricklesOrStops) {
  SystemClock clock;
  {
    Exchange exchange;
    exchange.connection.stream().set_inactivity_limit(10ms);
    exchange.send("GET / HT");
    EXPECT_EQ(exchange.request().error(), Errc::timed_out);
  }
  {
    Exchange exchange;
    exchange.send("GET / HT");
    EXPECT_EQ(
        test::run(exchange.context, with_deadline(clock, 10ms, exchange.connection.read_request()))
            .error(),
        Errc::timed_out);
  }
}

TEST(ReadRequest, EndsWhenToldToStopThoughBytesAreThere) {
  Exchange exchange;
  exchange.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(test::when_told_to_stop(exchange.context, exchange.connection.read_request()).error(),
            Errc::cancelled);
}

TEST(ReadRequest, TellsABrokenOffMessageFromAnOrderlyEnd) {
  for (const std::string part : {"G", "GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\n\r"}) {
    Exchange exchange;
    exchange.send(part);
    exchange.end();
    EXPECT_EQ(exchange.request().error(), Errc::bad_message) << part;
  }
  for (const std::string framing :
       {"Content-Length: 5\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n"}) {
    Exchange exchange;
    exchange.send("PUT / HTTP/1.1\r\nHost: h\r\n" + framing);
    exchange.end();
    ASSERT_TRUE(exchange.request());
    EXPECT_EQ(exchange.body().error(), Errc::bad_message) << framing;
    EXPECT_FALSE(exchange.connection.reusable());
  }
}

TEST(ReadRequest, SaysContinueWhenTheBodyIsWanted) {
  Exchange exchange;
  exchange.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  const auto request = exchange.request();
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->expect_continue);
  const auto send_when_told = [&exchange]() -> awaitable<void> {
    Bytes said(100);
    const auto size = co_await exchange.far->read_some(said);
    EXPECT_EQ(as_text(ByteView(said).first(*size)), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_TRUE(co_await exchange.far->write(as_bytes("ab")));
  };
  auto client = asio::co_spawn(exchange.context, send_when_told, asio::use_future);
  EXPECT_EQ(exchange.body(), Result<std::string>("ab"));
  client.get();
}

TEST(ReadRequest, DoesNotWaitForABodyThatIsHeldBack) {
  Exchange exchange;
  exchange.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  ASSERT_TRUE(exchange.request());
  ASSERT_TRUE(
      test::run(exchange.context, exchange.connection.write_response_with({.status = 413}, "")));
  EXPECT_EQ(test::run(exchange.context, exchange.connection.skip_body(100)).error(),
            Errc::too_large);
  EXPECT_FALSE(exchange.connection.reusable());
}

TEST(SkipBody, DropsSmallBodiesOnly) {
  Exchange exchange;
  exchange.send(
      "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n");
  ASSERT_TRUE(exchange.request());
  EXPECT_TRUE(test::run(exchange.context, exchange.connection.skip_body(3)));
  EXPECT_TRUE(exchange.connection.reusable());
  ASSERT_TRUE(exchange.request());
  EXPECT_EQ(test::run(exchange.context, exchange.connection.skip_body(8)).error(), Errc::too_large);
}

}  // namespace
}  // namespace hagring::http
