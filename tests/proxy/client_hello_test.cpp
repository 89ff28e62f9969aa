// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/client_hello.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace hagring::proxy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::string number(std::size_t value, int width) {
  std::string out;
  while (width-- > 0) out += static_cast<char>(value >> (8 * width) & 0xff);
  return out;
}
std::string vector(const std::string& body, int width) { return number(body.size(), width) + body; }
std::string extension(std::size_t type, const std::string& body) {
  return number(type, 2) + vector(body, 2);
}
std::string server_name(const std::string& name) {
  return extension(0, vector(number(0, 1) + vector(name, 2), 2));
}
std::string alpn(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += vector(name, 1);
  return extension(16, vector(list, 2));
}
std::string versions(const std::vector<std::size_t>& list) {
  std::string body;
  for (const auto version : list) body += number(version, 2);
  return extension(43, vector(body, 1));
}
/// A ClientHello message with these extensions.
std::string message(const std::string& extensions) {
  const std::string body = number(0x0303, 2) + std::string(32, 'r') +
                           vector(std::string(32, 's'), 1) +
                           vector(number(0x1301, 2) + number(0xc02b, 2), 2) +
                           vector(std::string(1, '\0'), 1) + vector(extensions, 2);
  return number(1, 1) + vector(body, 3);
}
std::string record(const std::string& body) {
  return number(22, 1) + number(0x0301, 2) + vector(body, 2);
}
/// As big as with an ML-KEM-1024 key share and a large session ticket.
std::string large_message() {
  return message(server_name("Registry-1.Docker.io") + alpn({"h2", "http/1.1"}) +
                 versions({0x2a2a, 0x0304, 0x0303}) + extension(51, std::string(2800, 'k')));
}

void expect_large_hello(const ClientHelloReader& reader, const std::string& all) {
  ASSERT_EQ(reader.progress(), HelloProgress::hello);
  EXPECT_EQ(reader.hello().server_name, "registry-1.docker.io");
  EXPECT_THAT(reader.hello().alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_THAT(reader.hello().versions, ElementsAre(0x0304, 0x0303));
  EXPECT_TRUE(reader.hello().can_be_terminated());
  EXPECT_EQ(as_text(reader.bytes()), all);
}

HelloProgress read(const std::string& bytes) { return ClientHelloReader().feed(as_bytes(bytes)); }

ClientHello hello_of(const std::string& bytes) {
  ClientHelloReader reader;
  EXPECT_EQ(reader.feed(as_bytes(bytes)), HelloProgress::hello);
  return reader.hello();
}

TEST(ClientHello, LargeHelloSplitAtEveryByte) {
  const auto all = record(large_message());
  ASSERT_GT(all.size(), 2900U);
  for (std::size_t at = 0; at < all.size(); ++at) {
    ClientHelloReader reader;
    ASSERT_EQ(reader.feed(as_bytes(all).first(at)), HelloProgress::need_more) << at;
    reader.feed(as_bytes(all).subspan(at));
    expect_large_hello(reader, all);
  }
}

TEST(ClientHello, LargeHelloByteByByte) {
  const auto all = record(large_message());
  ClientHelloReader reader;
  for (const auto& byte : as_bytes(all)) reader.feed(ByteView(&byte, 1));
  expect_large_hello(reader, all);
}

TEST(ClientHello, LargeHelloInTwoRecordsSplitAtEveryByte) {
  const auto whole = large_message();
  for (std::size_t at = 1; at < whole.size(); ++at) {
    const auto all = record(whole.substr(0, at)) + record(whole.substr(at));
    ClientHelloReader reader;
    ASSERT_EQ(reader.feed(as_bytes(all).first(5 + at)), HelloProgress::need_more) << at;
    reader.feed(as_bytes(all).subspan(5 + at));
    expect_large_hello(reader, all);
  }
}

TEST(ClientHello, LargeHelloInManySmallRecords) {
  const auto whole = large_message();
  std::string all;
  for (std::size_t at = 0; at < whole.size(); at += 7) all += record(whole.substr(at, 7));
  ClientHelloReader reader;
  reader.feed(as_bytes(all));
  expect_large_hello(reader, all);
}

TEST(ClientHello, HellosOfRealClients) {
  const auto hello_in = [](const std::string& name) {
    std::ifstream file(std::string(CLIENT_HELLO_CORPUS "/") + name, std::ios::binary);
    return hello_of(std::string(std::istreambuf_iterator<char>(file), {}));
  };
  EXPECT_EQ(hello_in("openssl_tls13").server_name, "registry-1.docker.io");
  EXPECT_THAT(hello_in("openssl_tls13").versions, ElementsAre(0x0304, 0x0303));
  EXPECT_EQ(hello_in("openssl_tls12").server_name, "ghcr.io");
  EXPECT_THAT(hello_in("openssl_tls12").versions, ElementsAre(0x0303));
  EXPECT_THAT(hello_in("openssl_alpn").alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_EQ(hello_in("openssl_split_records").server_name, "registry-1.docker.io");
  EXPECT_EQ(hello_in("openssl_no_sni").server_name, "");
  EXPECT_EQ(hello_in("go_mlkem").server_name, "registry.k8s.io");
  EXPECT_THAT(hello_in("go_mlkem").versions, Contains(0x0304));
  EXPECT_THAT(hello_in("go_mlkem").alpn, IsEmpty());
}

TEST(ClientHello, WhatFollowsIsKept) {
  ClientHelloReader reader;
  const auto all = record(message("")) + "early data";
  EXPECT_EQ(reader.feed(as_bytes(all)), HelloProgress::hello);
  reader.feed(as_bytes(" and more"));
  EXPECT_EQ(as_text(reader.bytes()), all + " and more");
}

TEST(ClientHello, OtherProtocolsAreNotTls) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\n"), HelloProgress::not_tls);
  EXPECT_EQ(read("SSH-2.0-x"), HelloProgress::not_tls);
  EXPECT_EQ(read(std::string("\x16\x02", 2)), HelloProgress::not_tls);
  EXPECT_EQ(read(std::string("\x16\x03\x05", 3)), HelloProgress::not_tls);
  EXPECT_EQ(read(std::string("\x80\x2e\x01", 3)), HelloProgress::not_tls);  // SSL 2
  EXPECT_EQ(read(std::string("\0", 1)), HelloProgress::not_tls);
  EXPECT_EQ(read(""), HelloProgress::need_more);
  EXPECT_EQ(read("\x16"), HelloProgress::need_more);
}

TEST(ClientHello, MalformedOnesAreTold) {
  const auto whole = message(server_name("quay.io"));
  EXPECT_EQ(read(record("")), HelloProgress::malformed) << "an empty record";
  EXPECT_EQ(read(number(22, 1) + number(0x0301, 2) + number(16385, 2)), HelloProgress::malformed);
  EXPECT_EQ(read(record("\x02" + whole.substr(1))), HelloProgress::malformed) << "a ServerHello";
  EXPECT_EQ(read(record(whole + "x")), HelloProgress::malformed) << "a second message";
  EXPECT_EQ(read(record(whole.substr(0, 60)) + "\x15\x03\x01"), HelloProgress::malformed)
      << "an alert in between";
  EXPECT_EQ(read(record(message(server_name("quay.io") + "x"))), HelloProgress::malformed);
  EXPECT_EQ(read(record(message(server_name("a.io") + server_name("b.io")))),
            HelloProgress::malformed);
  EXPECT_EQ(read(record(message(alpn({})))), HelloProgress::malformed);
  EXPECT_EQ(read(record(message(alpn({""})))), HelloProgress::malformed);
  EXPECT_EQ(read(record(message(versions({})))), HelloProgress::malformed);
  // Every length in it, wrong by one.
  for (std::size_t at = 4; at < whole.size(); ++at) {
    auto changed = whole;
    ++changed[at];
    (void)read(record(changed));
  }
}

TEST(ClientHello, ServerNameMustBeAHostName) {
  for (const std::string name : {"", ".", "quay.io.", ".quay.io", "a..b", "quay.io/x", "192.0.2.1",
                                 "1", "::1", "*.io", "-a.io", "a-.io", "a b.io", "q\xc3\xa5.io"}) {
    EXPECT_EQ(read(record(message(server_name(name)))), HelloProgress::malformed) << name;
  }
  EXPECT_EQ(read(record(message(server_name(std::string("a.io\0b.io", 9))))),
            HelloProgress::malformed);
  EXPECT_EQ(read(record(message(server_name(std::string(64, 'a') + ".io")))),
            HelloProgress::malformed);
  std::string longest;
  while (longest.size() < 250) longest += "a.";
  EXPECT_EQ(hello_of(record(message(server_name(longest + "abc")))).server_name, longest + "abc");
  EXPECT_EQ(read(record(message(server_name(longest + "abcd")))), HelloProgress::malformed);
  EXPECT_EQ(hello_of(record(message(server_name("_x.a-1.xn--vrlden-0za.example")))).server_name,
            "_x.a-1.xn--vrlden-0za.example");
}

TEST(ClientHello, MemoryIsBounded) {
  ClientHelloReader reader;
  const auto header = number(1, 1) + number(ClientHelloReader::kMaxHello, 3);
  std::string all;
  for (const char c : header) all += record(std::string(1, c));
  while (reader.progress() == HelloProgress::need_more) {
    reader.feed(as_bytes(all));
    all = record("x");
    ASSERT_LE(reader.bytes().size(), ClientHelloReader::kMaxBytes + 10);
  }
  EXPECT_EQ(reader.progress(), HelloProgress::malformed);
  EXPECT_EQ(read(record(number(1, 1) + number(ClientHelloReader::kMaxHello + 1, 3))),
            HelloProgress::malformed);
}

TEST(ClientHello, WhatCanBeTerminated) {
  EXPECT_TRUE(hello_of(record(message(""))).can_be_terminated());
  EXPECT_TRUE(hello_of(record(message(alpn({"http/1.1"})))).can_be_terminated());
  EXPECT_FALSE(hello_of(record(message(alpn({"h2"})))).can_be_terminated());
  EXPECT_FALSE(hello_of(record(message(versions({0x0302})))).can_be_terminated());
  EXPECT_TRUE(hello_of(record(message(extension(0xfe0d, "x")))).has_encrypted_client_hello);
}

TEST(HttpRequestPrefix, TellsRequestsFromOtherBytes) {
  const std::string request = "GET /v2/library/nginx/manifests/1 HTTP/1.1\r\n";
  for (std::size_t size = 0; size < request.size(); ++size) {
    EXPECT_EQ(http_request_prefix(as_bytes(request).first(size)),
              size < 5 ? Prefix::maybe : Prefix::yes)
        << size;
  }
  for (const auto* yes :
       {"HEAD /", "CONNECT registry:443", "POST http://a/", "PATCH /", "OPTIONS *"}) {
    EXPECT_EQ(http_request_prefix(as_bytes(yes)), Prefix::yes) << yes;
  }
  for (const auto* maybe : {"P", "PUT", "DELETE "}) {
    EXPECT_EQ(http_request_prefix(as_bytes(maybe)), Prefix::maybe) << maybe;
  }
  for (const auto* no :
       {"get /", "GET\t/", "GETX /", "GET  /", "PRI * HTTP/2.0", "\x16\x03\x01", "SSH-2.0"}) {
    EXPECT_EQ(http_request_prefix(as_bytes(no)), Prefix::no) << no;
  }
}

}  // namespace
}  // namespace hagring::proxy
