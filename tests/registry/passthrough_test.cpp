// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using Kind = http::BodyLength::Kind;

awaitable<std::string> read_all(http::Connection& connection) {
  std::string body;
  Bytes buffer(64 * 1024);
  while (true) {
    const auto size = co_await connection.read_body(buffer);
    if (!size) co_return body + "<broken>";
    if (*size == 0) co_return body;
    body += as_text(ByteView(buffer).first(*size));
  }
}

/// Answers with the body that came, in chunks.
awaitable<bool> echo(http::Connection& connection, http::Request) {
  const auto body = co_await read_all(connection);
  (void)co_await connection.write_response(
      {.status = 202, .headers = {{"Location", "/v2/x"}}, .body = {Kind::chunked}});
  (void)co_await connection.write_body(as_bytes(body));
  co_return (co_await connection.finish_body()).has_value();
}

TEST_F(MirrorTest, PassesOtherRequestsThrough) {
  add_peer();
  origin.server.handler = [](http::Connection& connection,
                             http::Request request) -> awaitable<bool> {
    const http::Response response{.status = 200, .headers = {{"Link", "</v2/next>; rel=\"next\""}}};
    co_return (co_await connection.write_response_with(response, request.target)).has_value();
  };
  for (const auto* target :
       {"/v2/", "/v2/library/nginx/tags/list?n=10", "/token?service=registry&scope=a%20b",
        "/v2/library/nginx/referrers/sha256:00", "/", "/v2/UPPER/manifests/1"}) {
    const auto reply = ask("GET", target, {{"Authorization", "Basic x"}});
    EXPECT_EQ(reply.body, target);
    EXPECT_EQ(reply.header("Link"), "</v2/next>; rel=\"next\"");
    EXPECT_EQ(origin.server.requests.back().headers.get("Authorization"), "Basic x");
    EXPECT_EQ(last_pull().source, PullSource::passthrough);
    EXPECT_THAT(last_pull().repository, testing::Not(testing::HasSubstr("?")));
  }
  EXPECT_TRUE(peers.front().server.requests.empty());
}

TEST_F(MirrorTest, LetsTheOriginAloneSayWhatAPushMaySkip) {
  const auto held = store.add("content that this node has");
  store.tag("docker.io/library/nginx:1", held, "application/vnd.oci.image.manifest.v1+json");
  const auto digest = held.to_string();
  origin.server.handler = [](http::Connection& connection, http::Request) -> awaitable<bool> {
    co_return (co_await connection.write_response_with({.status = 404}, "")).has_value();
  };
  const http::Headers pusher = {{"Accept", "application/vnd.oci.image.manifest.v1+json, */*"}};
  for (const auto& what : {"blobs/" + digest, "manifests/" + digest, std::string("manifests/1")}) {
    EXPECT_EQ(ask("HEAD", "/v2/library/nginx/" + what, pusher).status, 404);
    EXPECT_EQ(last_pull().source, PullSource::passthrough);
  }
  // A pull names more.
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/manifests/" + digest,
                {{"Accept",
                  "application/vnd.oci.image.index.v1+json, "
                  "application/vnd.oci.image.manifest.v1+json, */*"}})
                .status,
            200);
}

struct Upload : MirrorTest, testing::WithParamInterface<std::tuple<bool, bool>> {};

TEST_P(Upload, StreamsBothWays) {
  const bool chunked = std::get<0>(GetParam());
  const bool expects = std::get<1>(GetParam());
  origin.server.handler = echo;
  const auto content = test::noise(3'000'000);
  std::string got;
  unsigned status = 0;
  with_client([&, chunked = chunked,
               expects = expects](http::Connection& connection) -> awaitable<void> {
    http::Request request{.method = "PATCH", .target = "/v2/x/blobs/uploads/1"};
    request.headers = {{"Host", about.host}};
    if (expects) request.headers.add("Expect", "100-continue");
    request.body =
        chunked ? http::BodyLength{Kind::chunked} : http::BodyLength{Kind::length, content.size()};
    (void)co_await connection.write_request(request);
    for (std::size_t i = 0; i < content.size(); i += 100'000) {
      (void)co_await connection.write_body(as_bytes(std::string_view(content).substr(i, 100'000)));
    }
    (void)co_await connection.finish_body();
    const auto response = co_await connection.read_response("PATCH");
    status = response ? response->status : 0;
    got = co_await read_all(connection);
  });
  EXPECT_EQ(status, 202U);
  EXPECT_TRUE(got == content);
}

INSTANTIATE_TEST_SUITE_P(Mirror, Upload, testing::Combine(testing::Bool(), testing::Bool()));

TEST_F(MirrorTest, AnswerThatComesBeforeTheUploadHasEndedReachesTheClient) {
  origin.server.handler = [](http::Connection& connection, http::Request) -> awaitable<bool> {
    (void)co_await connection.write_response_with({.status = 401}, "no");
    co_return false;
  };
  unsigned status = 0;
  error_code end;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    http::Request request{.method = "PUT", .target = "/v2/x/manifests/1"};
    request.headers = {{"Host", about.host}};
    request.body = {Kind::length, 1'000'000};
    (void)co_await connection.write_request(request);
    (void)co_await connection.write_body(as_bytes("only the beginning"));
    const auto response = co_await connection.read_response("PUT");
    status = response ? response->status : 0;
    EXPECT_EQ(co_await read_all(connection), "no");
    Bytes buffer(1);
    end = (co_await connection.stream().read_some(buffer)).error();
  });
  EXPECT_EQ(status, 401U);
  EXPECT_EQ(end, Errc::end_of_stream);
}

TEST_F(MirrorTest, NeverAsksAnotherHostThanTheConnectionsOwn) {
  origin.server.handler = [](http::Connection& connection, http::Request) -> awaitable<bool> {
    co_return (co_await connection.write_response_with({.status = 421}, "who?")).has_value();
  };
  const auto digest = store.add("local");
  const auto target = "/v2/a/blobs/" + digest.to_string();
  const auto reply = ask("GET", target, {{"Host", "ghcr.io"}});
  EXPECT_EQ(reply.status, 421U);
  EXPECT_EQ(dialer.dialled.back().host, "registry-1.docker.io");
  EXPECT_EQ(last_pull().source, PullSource::passthrough);
}

TEST_F(MirrorTest, WithoutTlsOnlyMirroredNamesAreDialledByName) {
  test::FakeRegistry plain(context, clock);
  const auto digest = plain.add("content");
  const auto port = plain.server.endpoint().port();
  policy.add("http://plain.test:" + std::to_string(port));
  about = {.host = "127.0.0.1", .original = plain.server.endpoint(), .tls = false};
  const auto target = "/v2/a/blobs/" + digest.to_string();
  const auto host = "plain.test:" + std::to_string(port);
  EXPECT_EQ(ask("GET", target, {{"Host", host}}).body, "content");
  EXPECT_EQ(dialer.dialled.back().host, "plain.test");
  EXPECT_EQ(last_pull().registry, host);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(ask("GET", target, {{"Host", "internal.test"}}).body, "content");
  EXPECT_EQ(dialer.dialled.back().host, "");
  EXPECT_EQ(dialer.dialled.back().preferred, about.original);
  EXPECT_EQ(last_pull().source, PullSource::passthrough);
  test::run(context, plain.server.drain());
}

TEST_F(MirrorTest, OriginThatBreaksOffEndsTheBodyWithFin) {
  const auto content = test::noise(1'000'000);
  const auto digest = origin.add(content);
  origin.behaviour.cut_at = 500'000;
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.length.bytes, content.size());
  EXPECT_TRUE(reply.body == content.substr(0, 500'000));
  EXPECT_EQ(reply.error, Errc::bad_message);
}

}  // namespace
}  // namespace hagring::registry
