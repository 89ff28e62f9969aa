// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/http/exchange.hpp"

namespace hagring::http {
namespace {

using Kind = BodyLength::Kind;

TEST(ReadResponse, ReadsBodiesHoweverTheyAreDelimited) {
  const std::vector<std::tuple<std::string, Kind, bool>> cases = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Kind::length, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Kind::length,
       true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", Kind::length,
       false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
       Kind::chunked, true},
      {"HTTP/1.1 200 OK\r\n\r\nhello", Kind::until_close, false},
      {"HTTP/1.0 200 OK\r\n\r\nhello", Kind::until_close, false},
      {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", Kind::length,
       true},
  };
  for (const auto& [text, kind, reusable] : cases) {
    for (const std::size_t max_read : {std::size_t{1}, SIZE_MAX}) {
      Exchange exchange({.max_read = max_read, .capacity = 64 * 1024});
      exchange.send(text);
      exchange.end();
      const auto response = exchange.response();
      ASSERT_TRUE(response) << text;
      EXPECT_EQ(response->status, 200U);
      EXPECT_EQ(response->reason, "OK");
      EXPECT_EQ(response->body.kind, kind) << text;
      EXPECT_EQ(exchange.body(2), Result<std::string>("hello")) << text;
      EXPECT_EQ(exchange.connection.reusable(), reusable) << text;
    }
  }
}

TEST(ReadResponse, KnowsResponsesWithoutABody) {
  const std::vector<std::tuple<std::string, std::string, std::uint64_t>> cases = {
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5},
      {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
      {"HEAD", "HTTP/1.1 200 OK\r\n\r\n", 0},
      {"GET", "HTTP/1.1 204 No Content\r\n\r\n", 0},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 5},
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
  };
  for (const auto& [method, text, announced] : cases) {
    Exchange exchange;
    exchange.send(text);
    const auto response = exchange.response(method);
    ASSERT_TRUE(response) << text;
    EXPECT_EQ(response->body.bytes, announced) << text;
    EXPECT_TRUE(exchange.connection.body_ended()) << text;
    EXPECT_EQ(exchange.body(), Result<std::string>(""));
    EXPECT_TRUE(exchange.connection.reusable()) << text;
  }
}

TEST(ReadResponse, PassesOverInterimResponses) {
  Exchange exchange;
  exchange.send(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(exchange.response()->status, 200U);
  EXPECT_EQ(exchange.body(), Result<std::string>("ok"));
}

TEST(ReadResponse, EndlessInterimResponsesAreRefused) {
  Exchange exchange;
  for (int i = 0; i < 50; ++i) exchange.send("HTTP/1.1 102 Processing\r\n\r\n");
  EXPECT_EQ(exchange.response().error(), Errc::bad_message);
}

TEST(ReadResponse, GivesTheStreamOverAfterASwitchOrConnect) {
  for (const auto& [method, text] : {std::pair("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\nx"),
                                     std::pair("CONNECT", "HTTP/1.1 200 Established\r\n\r\nx")}) {
    Exchange exchange;
    exchange.send(text);
    ASSERT_TRUE(exchange.response(method));
    EXPECT_TRUE(exchange.connection.body_ended());
    EXPECT_EQ(as_text(exchange.connection.take_read_ahead()), "x");
    EXPECT_TRUE(exchange.connection.release_stream());
    EXPECT_FALSE(exchange.connection.reusable());
  }
}

TEST(ReadResponse, BytesNobodyAskedForSpoilTheConnection) {
  Exchange exchange;
  exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
  ASSERT_TRUE(exchange.response());
  EXPECT_EQ(exchange.body(), Result<std::string>("ok"));
  EXPECT_FALSE(exchange.connection.reusable());
}

TEST(ReadResponse, LargeBodiesPassThrough) {
  std::string content(3'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 7);
  for (const bool chunked : {false, true}) {
    Exchange exchange;
    const auto feed = [&]() -> awaitable<void> {
      if (!chunked) {
        EXPECT_TRUE(co_await exchange.far->write(
            as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + content)));
        co_return;
      }
      std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
      for (std::size_t at = 0; at < content.size(); at += 30'000) {
        text += "7530\r\n" + content.substr(at, 30'000) + "\r\n";
      }
      EXPECT_TRUE(co_await exchange.far->write(as_bytes(text + "0\r\n\r\n")));
    };
    auto fed = asio::co_spawn(exchange.context, feed, asio::use_future);
    ASSERT_TRUE(exchange.response());
    EXPECT_TRUE(exchange.body(256 * 1024) == Result<std::string>(content));
    EXPECT_TRUE(exchange.connection.reusable());
    fed.get();
  }
}

}  // namespace
}  // namespace hagring::http
