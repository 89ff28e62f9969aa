// SPDX-License-Identifier: Apache-2.0
#include "registry/mirror.hpp"

#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
    R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,)"
    R"("digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},)"
    R"("layers":[]})";
constexpr auto kManifestType = "application/vnd.oci.image.manifest.v1+json";

TEST_F(MirrorTest, ServesABlobOfTheLocalStore) {
  const auto content = test::noise(300'000);
  const auto digest = store.add(content);
  add_peer();
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, content);
  EXPECT_EQ(reply.header("Docker-Content-Digest"), digest.to_string());
  EXPECT_EQ(reply.length.bytes, content.size());
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_EQ(last_pull().registry, "docker.io");
  EXPECT_TRUE(peers.front().server.requests.empty());
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(MirrorTest, ServesARangeOfTheLocalStore) {
  const auto content = test::noise(1000);
  const auto digest = store.add(content);
  const auto reply = get_blob(digest, {{"Range", "bytes=100-199"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 100-199/1000");
  EXPECT_EQ(reply.body, content.substr(100, 100));
  EXPECT_EQ(get_blob(digest, {{"Range", "bytes=1000-"}}).status, 416U);
}

TEST_F(MirrorTest, HeadOfALocalManifestHasItsTypeAndLength) {
  const auto digest = store.add(kManifest);
  const auto reply = ask("HEAD", "/v2/library/nginx/manifests/" + digest.to_string());
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Content-Type"), kManifestType);
  EXPECT_EQ(reply.length.bytes, kManifest.size());
  EXPECT_EQ(reply.body, "");
}

TEST_F(MirrorTest, AsksPeersBeforeTheOriginAndTellsThemNoSecrets) {
  auto& empty = add_peer();
  auto& full = add_peer();
  const auto content = test::noise(10'000'000);
  const auto digest = full.add(content);
  const auto reply = get_blob(
      digest, {{"Authorization", "Bearer secret"}, {"Cookie", "c"}, {"Accept", "a/b, */*"}});
  EXPECT_EQ(reply.status, 200U);
  EXPECT_TRUE(reply.body == content);
  EXPECT_TRUE(origin.server.requests.empty());
  const auto pull = last_pull();
  EXPECT_EQ(pull.source, PullSource::peer);
  EXPECT_EQ(pull.peers, "peer-2");
  EXPECT_TRUE(pull.verified);
  EXPECT_TRUE(pull.complete);
  EXPECT_EQ(pull.bytes, content.size());
  const auto& request = full.server.requests.front();
  EXPECT_EQ(request.target, "/v2/library/nginx/blobs/" + digest.to_string() + "?ns=docker.io");
  EXPECT_EQ(request.headers.get("X-Spegel-Mirrored"), "true");
  EXPECT_EQ(request.headers.get("Accept"), "a/b, */*");
  EXPECT_FALSE(request.headers.contains("Authorization"));
  EXPECT_FALSE(request.headers.contains("Cookie"));
  EXPECT_LE(empty.server.requests.size(), 1U);
}

TEST_F(MirrorTest, AnswersAWholeRangeFromAPeerAsAPart) {
  const auto content = test::noise(100'000);
  const auto digest = add_peer().add(content);
  const auto reply = get_blob(digest, {{"Range", "bytes=0-"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 0-99999/100000");
  EXPECT_TRUE(reply.body == content);
}

TEST_F(MirrorTest, GoesToTheOriginWithTheClientsOwnFields) {
  add_peer();
  const auto content = test::noise(100'000);
  const auto digest = origin.add(content);
  std::string seen;
  hooks.seen = [&](std::string registry, std::string repository, Digest, std::uint64_t size) {
    seen = registry + " " + repository + " " + std::to_string(size);
  };
  const auto reply = get_blob(digest, {{"Authorization", "Bearer secret"},
                                       {"Accept-Encoding", "zstd;q=1.0, gzip;q=0.8"},
                                       {"Connection", "X-Hop"},
                                       {"X-Hop", "1"}});
  EXPECT_TRUE(reply.body == content);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(seen, "docker.io library/nginx 100000");
  const auto& request = origin.server.requests.front();
  EXPECT_EQ(request.headers.get("Authorization"), "Bearer secret");
  EXPECT_EQ(request.headers.get("Accept-Encoding"), "identity");
  EXPECT_FALSE(request.headers.contains("X-Hop"));
  EXPECT_EQ(dialer.dialled.back().preferred, about.original);
}

TEST_F(MirrorTest, RelaysTheOriginsChallengeUnchanged) {
  origin.behaviour.status = 401;
  origin.behaviour.headers = {
      {"WWW-Authenticate", "Bearer realm=\"https://auth.docker.io/token\""}};
  const auto digest = store.add("x");
  store.remove(digest);
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.status, 401U);
  EXPECT_EQ(reply.header("WWW-Authenticate"), "Bearer realm=\"https://auth.docker.io/token\"");
  EXPECT_EQ(reply.body, "refused");
}

TEST_F(MirrorTest, ReusesTheOriginsConnection) {
  const auto digest = origin.add("content");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get_blob(digest).body, "content");
  EXPECT_EQ(origin.server.connections, 1);
}

TEST_F(MirrorTest, ManifestFromAPeerIsVerifiedEvenForHead) {
  auto& peer = add_peer();
  peer.media_type = "text/lies";
  const auto digest = peer.add(kManifest);
  const auto reply = ask("HEAD", "/v2/library/nginx/manifests/" + digest.to_string());
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Content-Type"), kManifestType);
  EXPECT_EQ(reply.length.bytes, kManifest.size());
  EXPECT_TRUE(last_pull().verified);
}

TEST_F(MirrorTest, AnswersPipelinedRequestsInOrder) {
  const auto first = store.add("first");
  const auto second = store.add("second");
  std::string bodies;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    std::string wire;
    for (const auto& digest : {first, second, first}) {
      wire += "GET /v2/a/blobs/" + digest.to_string() +
              " HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n";
    }
    (void)co_await connection.stream().write(as_bytes(wire));
    for (int i = 0; i < 3; ++i) {
      (void)co_await connection.read_response("GET");
      Bytes buffer(100);
      while (true) {
        const auto size = co_await connection.read_body(buffer);
        if (!size || *size == 0) break;
        bodies += as_text(ByteView(buffer).first(*size));
      }
    }
  });
  EXPECT_EQ(bodies, "firstsecondfirst");
}

/// Asks for a blob; whether a head has come back. The body is still to be read.
awaitable<bool> ask_for(http::Connection& connection, Digest digest) {
  http::Request request;
  request.target = "/v2/library/nginx/blobs/" + digest.to_string();
  request.headers = {{"Host", "registry-1.docker.io"}};
  (void)co_await connection.write_request(request);
  (void)co_await connection.finish_body();
  co_return (co_await connection.read_response("GET")).has_value();
}

TEST_F(MirrorTest, DrainEndsAConnectionThatWaitsForARequest) {
  const auto digest = store.add(test::noise(1000));
  with_client([&](http::Connection& connection) -> awaitable<void> {
    EXPECT_TRUE(co_await ask_for(connection, digest));
    EXPECT_TRUE(co_await connection.skip_body(1000));
    EXPECT_TRUE(connection.reusable());
    drain();
    EXPECT_FALSE(co_await connection.read_response("GET"));
  });
}

TEST_F(MirrorTest, DrainAnswersTheFirstRequestOfANewConnection) {
  const auto digest = store.add("content");
  with_client([&](http::Connection& client) -> awaitable<void> {
    drain();
    http::Request request{.target = "/v2/library/nginx/blobs/" + digest.to_string(),
                          .headers = {{"Host", "registry-1.docker.io"}}};
    EXPECT_TRUE(co_await client.write_request(request));
    EXPECT_TRUE(co_await client.finish_body());
    const auto response = co_await client.read_response("GET");
    EXPECT_TRUE(response && response->status == 200);
    EXPECT_TRUE(co_await client.skip_body(100));
    Bytes rest(1);
    const auto end = co_await client.stream().read_some(rest);
    EXPECT_TRUE(!end || *end == 0) << "and takes no other";
  });
}

TEST_F(MirrorTest, DrainLetsARequestUnderWayEndAndTakesNoOther) {
  const auto content = test::noise(4'000'000);
  const auto digest = store.add(content);
  with_client([&](http::Connection& connection) -> awaitable<void> {
    EXPECT_TRUE(co_await ask_for(connection, digest));
    drain();  // most of the body is still to come
    EXPECT_TRUE(co_await connection.skip_body(content.size()));
    EXPECT_TRUE(connection.body_ended());
    EXPECT_FALSE(co_await ask_for(connection, digest));
  });
}

TEST_F(MirrorTest, AnswersTheTrustProbe) {
  std::string nonce;
  hooks.probed = [&](std::string tag, std::uint32_t client) {
    nonce = std::move(tag) + " " + std::to_string(client);
  };
  about.client = 77;
  about.host = "192.0.2.1";
  about.original = {asio::ip::make_address("192.0.2.1"), 443};
  const auto reply = ask("HEAD", "/v2/hagring/probe/manifests/n0nce");
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(nonce, "n0nce 77");
  EXPECT_EQ(ask("GET", "/v2/other/manifests/1").status, 404U);
  EXPECT_TRUE(dialer.dialled.empty());
}

TEST_F(MirrorTest, NameThatWasGivenTheProbesAddressIsNoProbe) {
  about.original = {asio::ip::make_address("192.0.2.1"), 443};
  const auto digest = store.add("content");
  EXPECT_EQ(get_blob(digest).body, "content");
}

TEST_F(MirrorTest, StoppedInMidBodyItEndsWithFin) {
  const auto content = test::noise(1'000'000);
  const auto digest = origin.add(content);
  origin.behaviour.stall_at = 500'000;
  std::size_t received = 0;
  error_code end;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    const http::Request request{.target = "/v2/a/blobs/" + digest.to_string(),
                                .headers = {{"Host", about.host}}};
    (void)co_await connection.write_request(request);
    (void)co_await connection.finish_body();
    (void)co_await connection.read_response("GET");
    Bytes buffer(64 * 1024);
    while (true) {
      const auto size = co_await connection.read_body(buffer);
      if (!size) end = size.error();
      if (!size) break;
      received += *size;
      if (received == 500'000) stop();
    }
  });
  EXPECT_EQ(received, 500'000U);
  EXPECT_EQ(end, Errc::bad_message);  // its length is not reached; a RST would be the system's
  EXPECT_FALSE(last_pull().complete);
}

TEST_F(MirrorTest, BlobOfTheStoreThatHasShrunkEndsWithFin) {
  const auto content = test::noise(100'000);
  const auto digest = store.add(content);
  store.truncate(digest, 40'000);
  const auto reply = get_blob(digest);
  EXPECT_TRUE(reply.body == content.substr(0, 40'000));
  EXPECT_EQ(reply.error, Errc::bad_message);
}

TEST_F(MirrorTest, ManifestOfTheStoreThatHasShrunkComesFromElsewhere) {
  const auto digest = store.add(kManifest);
  store.truncate(digest, 10);
  origin.add(kManifest);
  const auto reply = ask("GET", "/v2/library/nginx/manifests/" + digest.to_string());
  EXPECT_EQ(reply.body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);
}

TEST_F(MirrorTest, VerifiesSha512) {
  const auto content = test::noise(5'000'000);
  Hasher hasher(HashAlgorithm::sha512);
  hasher.update(as_bytes(content));
  const auto digest = Digest::of(HashAlgorithm::sha512, hasher);
  add_peer().contents[digest.to_string()] = content;
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_TRUE(last_pull().verified);
}

TEST_F(MirrorTest, OriginThatIsNoLongerVerifiedIsReported) {
  client_tls = test::make_client_context_trusting(nullptr);
  std::string reported;
  hooks.not_verified = [&](std::string host, std::uint16_t port) {
    reported = host + " " + std::to_string(port);
  };
  EXPECT_EQ(ask("GET", "/v2/").status, 502U);
  EXPECT_EQ(reported, "registry-1.docker.io 443");
}

TEST_F(MirrorTest, RefusesWhatIsNoHttpAndClosesInOrder) {
  std::string answer;
  error_code end;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    (void)co_await connection.stream().write(
        as_bytes("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"));
    Bytes buffer(1000);
    while (true) {
      const auto size = co_await connection.stream().read_some(buffer);
      if (!size) end = size.error();
      if (!size) break;
      answer += as_text(ByteView(buffer).first(*size));
    }
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_EQ(end, Errc::end_of_stream);
}

TEST_F(MirrorTest, SaysWhatIsWrongWhenNobodyCanAnswer) {
  add_peer();
  origin.server.close();
  const auto digest = store.add("gone");
  store.remove(digest);
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.status, 502U);
  EXPECT_THAT(reply.body, testing::HasSubstr("registry-1.docker.io"));
  EXPECT_THAT(reply.body, testing::HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace hagring::registry
