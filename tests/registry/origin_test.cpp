// SPDX-License-Identifier: Apache-2.0
#include "registry/origin.hpp"

#include <gmock/gmock.h>

#include "registry/origin_check.hpp"
#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

/// The origin redirects blobs to a content network under another name.
struct RedirectTest : MirrorTest {
  RedirectTest() {
    dialer.names["cdn.test"] = cdn.server.endpoint();
    digest = cdn.add(content);
    origin.behaviour.status = 307;
    origin.behaviour.location = "https://cdn.test/data/" + digest.to_string() + "?signature=s";
    trust_cdn();
  }
  ~RedirectTest() override { test::run(context, cdn.server.drain()); }

  void trust_cdn() {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_tls.get()),
                        cdn_certificate.certificate.get());
  }

  const std::string content = test::noise(200'000);
  test::TestCertificate cdn_certificate = test::make_certificate("cdn.test");
  SslContext cdn_tls = test::make_server_context_with(cdn_certificate);
  test::FakeRegistry cdn{context, clock, cdn_tls.get()};
  Digest digest = Digest::parse("sha256:" + std::string(64, '0')).value();
};

TEST_F(RedirectTest, IsFollowedWithoutCredentialsButWithTheRange) {
  const auto reply = get_blob(
      digest, {{"Authorization", "Bearer secret"}, {"Cookie", "c"}, {"Range", "bytes=100000-"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_TRUE(reply.body == content.substr(100'000));
  EXPECT_EQ(origin.server.requests.front().headers.get("Authorization"), "Bearer secret");
  const auto& request = cdn.server.requests.front();
  EXPECT_EQ(request.target, "/data/" + digest.to_string() + "?signature=s");
  EXPECT_EQ(request.headers.get("Host"), "cdn.test");
  EXPECT_EQ(request.headers.get("Range"), "bytes=100000-");
  EXPECT_FALSE(request.headers.contains("Authorization"));
  EXPECT_FALSE(request.headers.contains("Cookie"));
  EXPECT_EQ(last_pull().source, PullSource::origin);
}

TEST_F(RedirectTest, OnTheSameHostKeepsCredentials) {
  origin.behaviour.status.reset();
  origin.add(content);
  origin.server.handler = [this, answer = origin.server.handler](
                              http::Connection& connection,
                              http::Request request) -> awaitable<bool> {
    if (request.target.starts_with("/v2/")) {
      const http::Response response{.status = 302,
                                    .headers = {{"Location", "/other/" + digest.to_string()}}};
      co_return (co_await connection.write_response_with(response, "")).has_value();
    }
    co_return co_await answer(connection, std::move(request));
  };
  EXPECT_TRUE(get_blob(digest, {{"Authorization", "Bearer secret"}}).body == content);
  EXPECT_EQ(origin.server.requests.back().target, "/other/" + digest.to_string());
  EXPECT_EQ(origin.server.requests.back().headers.get("Authorization"), "Bearer secret");
}

TEST_F(RedirectTest, ThatCannotBeFollowedIsTheClients) {
  const auto is_handed_on = [&] {
    const auto reply = get_blob(digest);
    EXPECT_EQ(reply.status, 307U);
    EXPECT_EQ(reply.header("Location"), origin.behaviour.location);
    EXPECT_EQ(reply.body, "refused");
  };
  cdn.behaviour.status = 403;  // the signature has expired
  is_handed_on();
  cdn.behaviour.status = 302;  // it goes round in a circle
  cdn.behaviour.location = origin.behaviour.location;
  is_handed_on();
  EXPECT_LE(cdn.server.requests.size(), 11U);
  cdn.behaviour = {};
  origin.behaviour.location = "http://cdn.test/data";  // no longer confidential
  is_handed_on();
  origin.behaviour.location = "ftp://cdn.test/data";
  is_handed_on();
  origin.behaviour.location = "https://nowhere.test/data";
  is_handed_on();
}

TEST_F(RedirectTest, ToAHostThatCannotBeVerifiedIsTheClients) {
  client_tls = test::make_client_context_trusting(&certificate);
  EXPECT_EQ(get_blob(digest).status, 307U);
  EXPECT_TRUE(cdn.server.requests.empty());
}

TEST_F(RedirectTest, OfAHeadIsTheClients) {
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/blobs/" + digest.to_string()).status, 307U);
  EXPECT_TRUE(cdn.server.requests.empty());
}

TEST_F(RedirectTest, BackToTheOriginHasNoCredentialsAnyMore) {
  origin.behaviour = {};
  origin.add(content);
  origin.turns = {{.status = 307, .location = "https://cdn.test/elsewhere"}};
  cdn.behaviour.status = 302;
  cdn.behaviour.location = "https://registry-1.docker.io/v2/a/blobs/" + digest.to_string();
  EXPECT_TRUE(get_blob(digest, {{"Authorization", "Bearer secret"}}).body == content);
  ASSERT_EQ(origin.server.requests.size(), 2U);
  EXPECT_FALSE(origin.server.requests.back().headers.contains("Authorization"));
}

TEST_F(RedirectTest, BreaksOffAndGoesOnWithAFreshRedirect) {
  origin.turns = {{.status = 307, .location = "https://cdn.test/" + digest.to_string() + "?s=1"}};
  origin.behaviour.location = "https://cdn.test/" + digest.to_string() + "?s=2";
  cdn.turns = {{.cut_at = 70'000}};
  const auto reply = get_blob(digest, {{"Authorization", "Bearer secret"}});
  EXPECT_TRUE(reply.body == content);
  EXPECT_EQ(reply.error, error_code());
  EXPECT_TRUE(last_pull().verified);
  ASSERT_EQ(origin.server.requests.size(), 2U);
  EXPECT_EQ(origin.server.requests.back().headers.get("Authorization"), "Bearer secret");
  ASSERT_EQ(cdn.server.requests.size(), 2U);
  EXPECT_EQ(cdn.server.requests.back().target, "/" + digest.to_string() + "?s=2");
  EXPECT_EQ(cdn.server.requests.back().headers.get("Range"), "bytes=70000-");
  for (const auto& request : cdn.server.requests) {
    EXPECT_FALSE(request.headers.contains("Authorization"));
  }
}

TEST_F(RedirectTest, BreaksOffAndThereIsNoFreshOne) {
  cdn.turns = {{.cut_at = 70'000}};
  cdn.behaviour.status = 403;
  const auto reply = get_blob(digest);
  EXPECT_TRUE(reply.body == content.substr(0, 70'000));
  EXPECT_EQ(reply.error, Errc::bad_message);  // FIN: the client goes on by itself
}

TEST_F(RedirectTest, ToAHostThatFallsSilentGoesOn) {
  origin_limits.stall = 50ms;
  cdn.turns = {{.stall_at = 70'000}};
  EXPECT_TRUE(get_blob(digest).body == content);
}

TEST_F(RedirectTest, ToAHostWithoutRangesGivesTheRest) {
  cdn.behaviour.ignores_range = true;
  cdn.turns = {{.cut_at = 150'000, .ignores_range = true}};
  const auto reply = get_blob(digest, {{"Range", "bytes=100000-"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 100000-199999/200000");
  EXPECT_TRUE(reply.body == content.substr(100'000));
}

TEST_F(RedirectTest, ToAHostOfOddLengthsIsHandedOnAsItComes) {
  using Kind = http::BodyLength::Kind;
  for (const auto framing : {Kind::chunked, Kind::until_close}) {
    cdn.behaviour = {.framing = framing};
    EXPECT_TRUE(get_blob(digest).body == content);
  }
  cdn.behaviour = {.claims = 150'000};
  EXPECT_EQ(get_blob(digest).error, Errc::bad_message);
  cdn.behaviour = {.headers = {{"Content-Encoding", "gzip"}}};
  EXPECT_EQ(get_blob(digest).header("Content-Encoding"), "gzip");
}

TEST_F(MirrorTest, OriginThatClosedAKeptConnectionIsAskedOnANewOne) {
  const auto digest = origin.add("content");
  origin.server.handler = [this, answer = origin.server.handler, served = 0](
                              http::Connection& connection,
                              http::Request request) mutable -> awaitable<bool> {
    // Each connection: one answer, then the end at the next request.
    if (served++ % 2 == 1 && origin.server.connections == 1) co_return false;
    co_return co_await answer(connection, std::move(request));
  };
  EXPECT_EQ(get_blob(digest).body, "content");
  EXPECT_EQ(get_blob(digest).body, "content");
  EXPECT_EQ(origin.server.connections, 2);
}

TEST_F(MirrorTest, IdleConnectionsEnd) {
  origin_limits.pool.idle_limit = 0ms;
  const auto digest = origin.add("content");
  EXPECT_EQ(get_blob(digest).body, "content");
  EXPECT_EQ(get_blob(digest).body, "content");
  EXPECT_EQ(origin.server.connections, 2);
}

struct OriginCheckTest : MirrorTest {
  OriginVerdict inspect(OriginCheck& check, std::string host = "registry-1.docker.io") {
    return test::run(context, check.inspect(std::move(host), about.original));
  }
};

TEST_F(OriginCheckTest, VerifiesOnceForAllWhoAskAtTheSameTime) {
  OriginCheck check(clock, dialer, client_tls.get());
  int verified = 0;
  TaskGroup tasks(context.get_executor(), "callers");
  for (int i = 0; i < 5; ++i) {
    tasks.spawn([&]() -> awaitable<void> {
      const auto verdict = co_await check.inspect("registry-1.docker.io", about.original);
      verified += verdict == OriginVerdict::verified ? 1 : 0;
    });
  }
  test::run(context, tasks.drain());
  EXPECT_EQ(verified, 5);
  EXPECT_EQ(inspect(check), OriginVerdict::verified);
  EXPECT_EQ(origin.server.connections, 1);
  EXPECT_EQ(dialer.dialled.front().preferred, about.original);
}

TEST_F(OriginCheckTest, CallerThatIsStoppedDoesNotDecideForOthers) {
  OriginCheck check(clock, dialer, client_tls.get());
  TaskGroup first(context.get_executor(), "first");
  TaskGroup second(context.get_executor(), "second");
  std::optional<OriginVerdict> verdict;
  first.spawn([&]() -> awaitable<void> {
    (void)co_await check.inspect("registry-1.docker.io", about.original);
  });
  second.spawn([&]() -> awaitable<void> {
    verdict = co_await check.inspect("registry-1.docker.io", about.original);
  });
  context.restart();
  context.poll_one();
  first.cancel();
  test::run(context, first.drain());
  test::run(context, second.drain());
  EXPECT_EQ(verdict, OriginVerdict::verified);
}

TEST_F(OriginCheckTest, TellsPrivateAuthoritiesAndUnreachableOnesApart) {
  auto nobody = test::make_client_context_trusting(nullptr);
  OriginCheck check(clock, dialer, nobody.get());
  EXPECT_EQ(inspect(check), OriginVerdict::not_verified);
  EXPECT_EQ(inspect(check), OriginVerdict::not_verified);
  EXPECT_EQ(origin.server.connections, 1);
  EXPECT_FALSE(check.known().front().reason.empty());
  dialer.names["ghcr.io"] = {asio::ip::address_v4::loopback(), 1};
  EXPECT_EQ(inspect(check, "ghcr.io"), OriginVerdict::unreachable);
}

TEST_F(OriginCheckTest, UnreachableOriginIsFoundOutOnceByAll) {
  dialer.names["registry-1.docker.io"] = {asio::ip::address_v4::loopback(), 1};
  OriginCheck check(clock, dialer, client_tls.get(), {}, &breaker);
  OriginCheck of_another_thread(clock, dialer, client_tls.get(), {}, &breaker);
  EXPECT_EQ(inspect(check), OriginVerdict::unreachable);
  EXPECT_EQ(inspect(of_another_thread), OriginVerdict::unreachable);
  EXPECT_EQ(dialer.dialled.size(), 1U);
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/manifests/1").status, 502U);
  EXPECT_EQ(dialer.dialled.size(), 2U);  // the last resort only
  breaker.not_probed({.host = "registry-1.docker.io"});
  dialer.names["registry-1.docker.io"] = origin.server.endpoint();
  EXPECT_EQ(inspect(of_another_thread), OriginVerdict::verified);
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(OriginCheckTest, SlowOneIsUndecidedUnlessItHasBeenVerifiedBefore) {
  asio::ip::tcp::acceptor deaf(context, {asio::ip::address_v4::loopback(), 0});
  VerifiedOrigins verified;
  const OriginCheck::Options limits{.limit = 100ms, .verified = 0s, .undecided = 0s};
  OriginCheck check(clock, dialer, client_tls.get(), limits, nullptr, &verified);
  OriginCheck of_another_thread(clock, dialer, client_tls.get(), {}, nullptr, &verified);
  dialer.names["registry-1.docker.io"] = deaf.local_endpoint();
  EXPECT_EQ(inspect(check), OriginVerdict::undecided);
  dialer.names["registry-1.docker.io"] = origin.server.endpoint();
  EXPECT_EQ(inspect(of_another_thread), OriginVerdict::verified);
  dialer.names["registry-1.docker.io"] = deaf.local_endpoint();
  EXPECT_EQ(inspect(check), OriginVerdict::unreachable);
  check.forget("registry-1.docker.io", 443);
  EXPECT_EQ(inspect(check), OriginVerdict::undecided);
  dialer.black_hole = true;
  check.forget("registry-1.docker.io", 443);
  EXPECT_EQ(inspect(check), OriginVerdict::unreachable);
}

TEST_F(OriginCheckTest, UndecidedOneIsNoOutageUntilAProbeSaysSo) {
  asio::ip::tcp::acceptor deaf(context, {asio::ip::address_v4::loopback(), 0});
  dialer.names["registry-1.docker.io"] = deaf.local_endpoint();
  OriginCheck check(clock, dialer, client_tls.get(), {.limit = 50ms}, &breaker);
  EXPECT_EQ(inspect(check), OriginVerdict::undecided);
  EXPECT_EQ(inspect(check), OriginVerdict::undecided);
  EXPECT_EQ(dialer.dialled.size(), 1U);  // remembered
  EXPECT_TRUE(breaker.outages().empty());
}

TEST_F(OriginCheckTest, CertificateForAnotherNameIsNotVerified) {
  dialer.names["ghcr.io"] = origin.server.endpoint();
  OriginCheck check(clock, dialer, client_tls.get());
  EXPECT_EQ(inspect(check, "ghcr.io"), OriginVerdict::not_verified);
}

TEST_F(OriginCheckTest, NoticesThatAClientCertificateIsWanted) {
  for (const bool required : {true, false}) {
    SSL_CTX_set_verify(server_tls.get(),
                       SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    OriginCheck check(clock, dialer, client_tls.get());
    EXPECT_EQ(inspect(check), OriginVerdict::wants_client_certificate) << required;
  }
}

TEST_F(OriginCheckTest, ForgetsWhenAsked) {
  OriginCheck check(clock, dialer, client_tls.get());
  EXPECT_EQ(inspect(check), OriginVerdict::verified);
  check.forget("registry-1.docker.io", 443);
  EXPECT_TRUE(check.known().empty());
  EXPECT_EQ(inspect(check), OriginVerdict::verified);
  EXPECT_EQ(origin.server.connections, 2);
}

TEST_F(OriginCheckTest, VerdictsEnd) {
  OriginCheck check(clock, dialer, client_tls.get(), {.verified = 0s});
  EXPECT_EQ(inspect(check), OriginVerdict::verified);
  EXPECT_EQ(inspect(check), OriginVerdict::verified);
  EXPECT_EQ(origin.server.connections, 2);
}

}  // namespace
}  // namespace hagring::registry
