// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/registry/peer_fixture.hpp"

namespace hagring::registry {
namespace {

const std::string kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
const std::string kIndexType = "application/vnd.oci.image.index.v1+json";

std::string blob_path(const Digest& digest) {
  return "/v2/library/nginx/blobs/" + digest.to_string() + "?ns=docker.io";
}
std::string manifest_path(std::string_view reference, std::string_view query = "?ns=docker.io") {
  return "/v2/library/nginx/manifests/" + std::string(reference) + std::string(query);
}

struct PeerServing : PeerFixture {
  PeerServing() : content(3'000'000, '\0') {
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 8);
    blob.emplace(store.add(content));
    manifest.emplace(store.add(R"({"mediaType":")" + kManifestType + R"(","config":{"digest":")" +
                               blob->to_string() + R"(","size":3000000},"layers":[]})"));
    start();
  }
  std::string content;
  std::optional<Digest> blob, manifest;
};

TEST_F(PeerServing, BlobsByteForByte) {
  const auto answer = ask("GET", blob_path(*blob), {{"X-Spegel-Mirrored", "true"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->head.status, 200U);
  EXPECT_TRUE(answer->body == content);
  EXPECT_EQ(answer->header("Content-Length"), "3000000");
  EXPECT_EQ(answer->header("Content-Type"), "application/octet-stream");
  EXPECT_EQ(answer->header("Docker-Content-Digest"), blob->to_string());
  EXPECT_EQ(answer->header("Accept-Ranges"), "bytes");
  wait_until([this] { return served().size() == 1; });
  EXPECT_EQ(served()[0].peer, asio::ip::make_address("127.0.0.1"));
  EXPECT_EQ(served()[0].digest, *blob);
  EXPECT_EQ(served()[0].bytes, content.size());
  EXPECT_TRUE(served()[0].complete);
  EXPECT_EQ(server->requests().served, 1U);
  EXPECT_EQ(server->requests().bytes, content.size());
}

TEST_F(PeerServing, HeadTellsWhatGetWouldSend) {
  http::Connection connection(connect());
  for (const auto& path : {blob_path(*blob), manifest_path(manifest->to_string())}) {
    const auto head = ask(connection, make_request("HEAD", path));
    const auto get = ask(connection, make_request("GET", path));
    ASSERT_TRUE(head && get);
    EXPECT_EQ(head->head.status, 200U);
    EXPECT_EQ(head->body, "");
    for (const std::string_view name :
         {"Content-Length", "Content-Type", "Docker-Content-Digest", "Accept-Ranges"}) {
      EXPECT_EQ(head->header(name), get->header(name));
    }
  }
}

TEST_F(PeerServing, ManifestsWithTheirTrueMediaType) {
  const auto by_digest = ask("GET", manifest_path(manifest->to_string(), ""));
  ASSERT_TRUE(by_digest);
  EXPECT_EQ(by_digest->header("Content-Type"), kManifestType);
  const auto index = store.add(R"({"schemaVersion":2,"manifests":[]})");
  EXPECT_EQ(ask("HEAD", manifest_path(index.to_string()))->header("Content-Type"), kIndexType);
  // A blob is no manifest, but a manifest is a blob.
  EXPECT_EQ(ask("GET", manifest_path(blob->to_string()))->head.status, 404U);
  EXPECT_EQ(ask("GET", blob_path(*manifest))->header("Content-Type"), "application/octet-stream");
}

TEST_F(PeerServing, TagsOfTheRegistryThatIsNamed) {
  store.tag("docker.io/library/nginx:1.25", *manifest, "ignored/type");
  for (const std::string_view query :
       {"?ns=docker.io", "?ns=registry-1.docker.io", "?ns=Docker.io"}) {
    const auto answer = ask("GET", manifest_path("1.25", query));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->head.status, 200U) << query;
    EXPECT_EQ(answer->header("Docker-Content-Digest"), manifest->to_string());
    EXPECT_EQ(answer->header("Content-Type"), kManifestType);
  }
  for (const std::string_view query : {"", "?ns=", "?ns=ghcr.io", "?ns=a/b"}) {
    EXPECT_EQ(ask("GET", manifest_path("1.25", query))->head.status, 404U) << query;
  }
  EXPECT_EQ(ask("GET", manifest_path("1.26"))->head.status, 404U);
}

TEST_F(PeerServing, WhatIsNotHereIsNotFound) {
  store.remove(*blob);
  http::Connection connection(connect());
  const auto missing = ask(connection, make_request("GET", blob_path(*blob)));
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->head.status, 404U);
  EXPECT_EQ(missing->header("Content-Type"), "application/json");
  EXPECT_THAT(missing->body, testing::HasSubstr(R"({"errors":[{"code":"BLOB_UNKNOWN",)"));
  for (const std::string_view target :
       {"/", "/v2/_catalog", "/v2/library/nginx/tags/list", "/v2/library/nginx/blobs/uploads/",
        "/v2/a/manifests/../x", "/metrics", "/token"}) {
    const auto answer = ask(connection, make_request("GET", std::string(target)));
    ASSERT_TRUE(answer) << target;
    EXPECT_EQ(answer->head.status, 404U) << target;
  }
  EXPECT_EQ(ask(connection, make_request("HEAD", manifest_path("none")))->head.status, 404U);
  EXPECT_EQ(ask(connection, make_request("GET", "/v2/"))->head.status, 200U);
  EXPECT_EQ(server->requests().not_found, 9U);
}

TEST_F(PeerServing, OnlyReadsAreAllowed) {
  for (const std::string_view method : {"PUT", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT"}) {
    const auto answer = ask(std::string(method), manifest_path("1"));
    ASSERT_TRUE(answer) << method;
    EXPECT_EQ(answer->head.status, 405U) << method;
    EXPECT_EQ(answer->header("Allow"), "GET, HEAD");
    EXPECT_FALSE(answer->head.keep_alive);
  }
  EXPECT_EQ(server->requests().refused, 6U);
}

TEST_F(PeerServing, Ranges) {
  http::Connection connection(connect());
  const auto part = [&](std::string_view range) {
    return *ask(connection, make_request("GET", blob_path(*blob), {{"Range", std::string(range)}}));
  };
  const auto middle = part("bytes=1000-1999999");
  EXPECT_EQ(middle.head.status, 206U);
  EXPECT_EQ(middle.header("Content-Range"), "bytes 1000-1999999/3000000");
  EXPECT_TRUE(middle.body == content.substr(1000, 1'999'000));
  EXPECT_TRUE(part("bytes=2999990-").body == content.substr(2'999'990));
  EXPECT_TRUE(part("bytes=-7").body == content.substr(2'999'993));
  EXPECT_EQ(part("bytes=0-").head.status, 206U);
  EXPECT_EQ(part("bytes=0-1,5-6").head.status, 200U);
  EXPECT_EQ(part("bytes=9-1").head.status, 200U);
  const auto beyond = part("bytes=3000000-");
  EXPECT_EQ(beyond.head.status, 416U);
  EXPECT_EQ(beyond.header("Content-Range"), "bytes */3000000");
  EXPECT_EQ(part("bytes=99999999999999999999999-").head.status, 416U);
  EXPECT_TRUE(connection.reusable());
  const auto conditional =
      ask("GET", blob_path(*blob), {{"Range", "bytes=0-1"}, {"If-Range", "\"x\""}});
  EXPECT_EQ(conditional->head.status, 200U);
  EXPECT_EQ(ask("HEAD", blob_path(*blob), {{"Range", "bytes=0-1"}})->head.status, 200U);
}

TEST_F(PeerServing, PipelinedRequestsAreAnsweredInOrder) {
  std::string requests;
  std::vector<Digest> blobs;
  for (int i = 0; i < 20; ++i) {
    blobs.push_back(store.add(std::string(static_cast<std::size_t>(i) * 5000, 'a')));
    requests += "GET " + blob_path(blobs.back()) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  }
  auto stream = connect();
  ASSERT_TRUE(test::run(context, stream->write(as_bytes(requests))));
  http::Connection connection(std::move(stream));
  for (const auto& digest : blobs) {
    const auto answer = test::run(context, read_answer(connection, "GET"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("Docker-Content-Digest"), digest.to_string());
  }
}

TEST_F(PeerServing, ManyPeersAtOnce) {
  constexpr int kPeers = 30;
  int right = 0;
  TaskGroup peers(context.get_executor(), "peers");
  for (int i = 0; i < kPeers; ++i) {
    peers.spawn([&]() -> awaitable<void> {
      http::Connection connection(connect());
      for (int j = 0; j < 2; ++j) {
        const auto answer = co_await exchange(connection, make_request("GET", blob_path(*blob)));
        right += answer && answer->body == content;
      }
    });
  }
  test::run(context, peers.drain());
  EXPECT_EQ(right, 2 * kPeers);
  wait_until([this] { return server->open_connections() == 0; });
}

TEST_F(PeerServing, ABlobRemovedWhileItIsServedGoesOutWhole) {
  const std::string large(20'000'000, 'x');
  const auto digest = store.add(large);
  http::Connection connection(connect());
  const auto run = [&]() -> awaitable<Result<Answer>> {
    CO_CHECK(co_await connection.write_request(make_request("GET", blob_path(digest))));
    CO_TRY(const auto head, co_await connection.read_response("GET"));
    store.remove(digest);
    Answer answer{head, {}};
    Bytes buffer(256 * 1024);
    while (true) {
      CO_TRY(const auto size, co_await connection.read_body(buffer));
      if (size == 0) co_return answer;
      answer.body += as_text(ByteView(buffer).first(size));
    }
  };
  const auto answer = test::run(context, run());
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == large);
}

TEST_F(PeerServing, AFileShorterThanPromisedBreaksTheBodyOff) {
  const auto digest = *Digest::parse("sha256:" + std::string(64, 'd'));
  store.add_as(digest, "short", 1'000'000);
  EXPECT_EQ(ask("GET", blob_path(digest)).error(), Errc::bad_message);
  wait_until([this] { return server->requests().failed == 1; });
  EXPECT_FALSE(served().back().complete);
  // A manifest is read before its head is sent.
  EXPECT_EQ(ask("GET", manifest_path(digest.to_string()))->head.status, 503U);
}

}  // namespace
}  // namespace hagring::registry
