// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/proxied_request.hpp"

#include <gtest/gtest.h>

namespace hagring::egress {
namespace {

using Kind = ProxiedRequest::Kind;
using namespace std::string_literals;

Kind kind_of(const std::string& bytes) { return ProxiedRequestReader().feed(as_bytes(bytes)).kind; }

std::string connect_to(const std::string& target) {
  return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n";
}

TEST(ProxiedRequest, ConnectIsReadByteByByte) {
  const auto text =
      "CONNECT Registry.Test:443 HTTP/1.1\r\nHost: Registry.Test:443\r\n"
      "User-Agent: Go-http-client/1.1\r\nProxy-Authorization: Basic dXNlcjo=\r\n\r\n"s;
  ProxiedRequestReader reader;
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(reader.request().kind, Kind::need_more) << i;
    reader.feed(as_bytes(std::string_view(text).substr(i, 1)));
  }
  EXPECT_EQ(reader.request().kind, Kind::tunnel);
  EXPECT_EQ(reader.request().host, "registry.test");
  EXPECT_EQ(reader.request().port, 443);
  EXPECT_EQ(as_text(reader.bytes()), text);
}

TEST(ProxiedRequest, ConnectToAnAddressOfEitherFamily) {
  ProxiedRequestReader v6;
  EXPECT_EQ(v6.feed(as_bytes(connect_to("[fd00::1]:5000"))).host, "fd00::1");
  EXPECT_EQ(v6.request().port, 5000);
  ProxiedRequestReader probe;
  EXPECT_EQ(probe.feed(as_bytes(connect_to("192.0.2.1:443"))).host, "192.0.2.1");
}

TEST(ProxiedRequest, DoubtfulConnectIsTheProxysToAnswer) {
  for (const auto& target : {"registry.test"s, "registry.test:"s, "registry.test:0"s,
                             "registry.test:65536"s, ":443"s, "u@registry.test:443"s,
                             "registry.test:443/"s, "registry.test:443?x"s, "http://a.test:443"s}) {
    EXPECT_EQ(kind_of(connect_to(target)), Kind::other) << target;
  }
  EXPECT_EQ(kind_of("CONNECT a.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("CONNECT a.test:443 HTTP/1.0\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("CONNECT a.test:443 HTTP/1.1\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of(connect_to("a.test:443") + "\x16\x03\x01"), Kind::other);
  EXPECT_EQ(kind_of("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nContent-Length: 3\r\n\r\n"),
            Kind::other);
  EXPECT_EQ(kind_of("connect a.test:443 HTTP/1.1\r\n"), Kind::other);
}

TEST(ProxiedRequest, OtherProtocolsAreKnownAtOnce) {
  EXPECT_EQ(kind_of("\x16\x03\x01\x02"), Kind::other);
  EXPECT_EQ(kind_of("\x05\x01"), Kind::other);
  EXPECT_EQ(kind_of("SSH-2.0-x"), Kind::other);
  EXPECT_EQ(kind_of(std::string(17, 'A')), Kind::other);
}

TEST(ProxiedRequest, AbsoluteUrlBecomesTheServersRequest) {
  ProxiedRequestReader reader;
  const auto& request = reader.feed(
      as_bytes("POST http://Registry.test:5000/v2/a/blobs/uploads/?x=1 HTTP/1.1\r\n"
               "Host: registry.test:5000\r\nAuthorization: Bearer t\r\nContent-Length: 4\r\n"
               "Proxy-Authorization: Basic dXNlcjo=\r\nProxy-Connection: keep-alive\r\n\r\nbo"));
  EXPECT_EQ(request.kind, Kind::plain);
  EXPECT_EQ(request.host, "registry.test");
  EXPECT_EQ(request.port, 5000);
  reader.feed(as_bytes("dy"));
  const auto bytes = reader.for_server();
  EXPECT_EQ(as_text(bytes),
            "POST /v2/a/blobs/uploads/?x=1 HTTP/1.1\r\nHost: registry.test:5000\r\n"
            "Authorization: Bearer t\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody");
}

TEST(ProxiedRequest, OtherTargetsAreTheProxysToAnswer) {
  EXPECT_EQ(kind_of("GET /v2/ HTTP/1.1\r\nHost: a.test\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("GET http://a.test/ HTTP/1.1\r\nHost: a.test:81\r\n\r\n"), Kind::other);
  EXPECT_EQ(kind_of("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nUpgrade: x\r\n\r\n"),
            Kind::other);
}

TEST(ProxiedRequest, HeadWithoutEndIsGivenUp) {
  ProxiedRequestReader reader;
  reader.feed(as_bytes("GET http://a.test/ HTTP/1.1\r\nX: "));
  const std::string filler(1024, 'x');
  for (int i = 0; i < 64; ++i) reader.feed(as_bytes(filler));
  EXPECT_EQ(reader.request().kind, Kind::other);
}

}  // namespace
}  // namespace hagring::egress
