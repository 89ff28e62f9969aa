// SPDX-License-Identifier: Apache-2.0
// Messages on whose end two parsers may disagree (RFC 9112, section 11.2): all are refused.
#include <gtest/gtest.h>

#include "tests/http/exchange.hpp"

namespace hagring::http {
namespace {

using namespace std::string_literals;

TEST(Smuggling, RequestsWithDoubtfulFramingAreRefused) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& fields : {
           "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"s,
           "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"s,
           "Content-Length: 4\r\nContent-Length: 5\r\n"s,
           "Content-Length: 4, 5\r\n"s,
           "Content-Length: +4\r\n"s,
           "Content-Length: -4\r\n"s,
           "Content-Length: 0x4\r\n"s,
           "Content-Length: 4 4\r\n"s,
           "Content-Length:\r\n"s,
           "Content-Length: 18446744073709551616\r\n"s,
           "Content-Length: 9223372036854775808\r\n"s,
           "Transfer-Encoding: gzip\r\n"s,
           "Transfer-Encoding: gzip, chunked\r\n"s,
           "Transfer-Encoding: chunked, gzip\r\n"s,
           "Transfer-Encoding: chunked, chunked\r\n"s,
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"s,
           "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"s,
           "Transfer-Encoding: xchunked\r\n"s,
           "Transfer-Encoding: \"chunked\"\r\n"s,
           "Transfer-Encoding:\r\n"s,
           "Transfer-Encoding : chunked\r\n"s,
           "Content-Length : 4\r\n"s,
           "Host: other\r\n"s,
       }) {
    Exchange exchange;
    exchange.send(start + fields + "\r\n");
    exchange.end();
    EXPECT_EQ(exchange.request().error(), Errc::bad_message) << fields;
    EXPECT_FALSE(exchange.connection.reusable());
  }
}

TEST(Smuggling, MalformedHeadsAreRefused) {
  for (const std::string& head : {
           "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n"s,
           "GET / HTTP/1.1\r\n Host: h\r\n\r\n"s,
           "GET / HTTP/1.1\nHost: h\n\n"s,
           "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nA: \0b\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nA: \x01\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n"s,
           "GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n"s,
           "GET / HTTP/1.1\r\n\r\n"s,
           "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"s,
           "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"s,
           "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"s,
           "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n"s,
           "GET /\r\nHost: h\r\n\r\n"s,
           "GET / HTTP/2.0\r\nHost: h\r\n\r\n"s,
           "GET / HTTP/0.9\r\nHost: h\r\n\r\n"s,
           "GET / http/1.1\r\nHost: h\r\n\r\n"s,
           "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"s,
           " GET / HTTP/1.1\r\nHost: h\r\n\r\n"s,
           "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"s,
           "\r\n\r\n\r\n\r\n"s,
           "\x16\x03\x01\x02\x00\x01"s,
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s,
       }) {
    for (const std::size_t max_read : {std::size_t{1}, SIZE_MAX}) {
      Exchange exchange({.max_read = max_read, .capacity = 64 * 1024});
      exchange.send(head);
      exchange.end();
      EXPECT_EQ(exchange.request().error(), Errc::bad_message) << head;
    }
  }
}

TEST(Smuggling, MalformedChunksAreRefused) {
  for (const std::string& body : {
           "4\nabcd\r\n0\r\n\r\n"s,
           "4\r\nabcde\r\n0\r\n\r\n"s,
           "4\r\nabcd0\r\n\r\n"s,
           "\r\n4\r\nabcd\r\n0\r\n\r\n"s,
           "-4\r\nabcd\r\n0\r\n\r\n"s,
           "0x4\r\nabcd\r\n0\r\n\r\n"s,
           "x\r\n"s,
           "10000000000000004\r\nabcd\r\n0\r\n\r\n"s,
           "fffffffffffffffff\r\n"s,
           "4 \x01\r\nabcd\r\n0\r\n\r\n"s,
           "4;a\nb\r\nabcd\r\n0\r\n\r\n"s,
           "4;=\r\nabcd\r\n0\r\n\r\n"s,
           "0\r\nbad trailer\r\n\r\n"s,
           "0\r\nContent-Length: 3\r\n\r\n"s,
       }) {
    Exchange exchange;
    exchange.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    exchange.end();
    ASSERT_TRUE(exchange.request()) << body;
    EXPECT_EQ(exchange.body().error(), Errc::bad_message) << body;
    EXPECT_FALSE(exchange.connection.reusable());
  }
}

TEST(Smuggling, ChunkFramingIsBounded) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body : {
           "4;a=" + std::string(9000, 'b') + "\r\nabcd\r\n0\r\n\r\n",
           "4;a=" + std::string(20000, 'b'),
           std::string(20000, '0'),
           "0\r\n" + std::string(20000, 'b'),
           "0\r\nA: " + std::string(9000, 'b') + "\r\n\r\n",
       }) {
    Exchange exchange;
    exchange.send(start + body);
    exchange.end();
    ASSERT_TRUE(exchange.request());
    EXPECT_EQ(exchange.body().error(), Errc::too_large) << body.substr(0, 10);
  }
}

TEST(Smuggling, ResponsesWithDoubtfulFramingAreRefused) {
  for (const std::string& head : {
           "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"s,
           "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"s,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"s,
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"s,
           "HTTP/1.1 2000 OK\r\n\r\n"s,
           "HTTP/1.1 20 OK\r\n\r\n"s,
           "HTTP/1.1 099 OK\r\n\r\n"s,
           "HTTP/1.1 abc OK\r\n\r\n"s,
           "HTTP/3.1 200 OK\r\n\r\n"s,
           "\r\nHTTP/1.1 200 OK\r\n\r\n"s,
           "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"s,
           "SSH-2.0-OpenSSH_9.2\r\n"s,
           "\x15\x03\x01"s,
       }) {
    Exchange exchange;
    exchange.send(head);
    exchange.end();
    EXPECT_EQ(exchange.response().error(), Errc::bad_message) << head;
  }
}

}  // namespace
}  // namespace hagring::http
