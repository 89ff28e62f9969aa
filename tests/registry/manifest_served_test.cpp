// SPDX-License-Identifier: Apache-2.0
// What the rest of the agent is told of manifests, before the client has them.
#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

constexpr auto kManifest =
    R"({"schemaVersion":2,"config":{"mediaType":"a/b","size":2,)"
    R"("digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},)"
    R"("layers":[]})";

struct ManifestServedTest : MirrorTest {
  ManifestServedTest() {
    hooks.manifest_served = [this](std::string registry, std::string repository, Digest digest,
                                   std::string_view manifest) -> awaitable<void> {
      told.push_back(registry + "/" + repository + "@" + digest.to_string());
      EXPECT_EQ(manifest, kManifest);
      // Who doesn't wait has sent the few bytes long before.
      asio::steady_timer timer(co_await asio::this_coro::executor, 100ms);
      co_await timer.async_wait(kTuple);
      ended = true;
    };
  }

  /// Reads a manifest and looks, when all of it is there, whether the hook had returned.
  std::string read(const Digest& digest) {
    std::string body;
    with_client([&](http::Connection& connection) -> awaitable<void> {
      http::Request request{.method = "GET",
                            .target = "/v2/library/nginx/manifests/" + digest.to_string()};
      request.headers.add("Host", about.host);
      (void)co_await connection.write_request(request);
      (void)co_await connection.finish_body();
      if (!co_await connection.read_response("GET")) co_return;
      Bytes buffer(1000);
      while (true) {
        const auto size = co_await connection.read_body(buffer);
        if (!size || *size == 0) break;
        body += as_text(ByteView(buffer).first(*size));
      }
      ended_first = ended;
    });
    return body;
  }

  void expect_told_of(const Digest& digest) {
    EXPECT_EQ(told, std::vector{"docker.io/library/nginx@" + digest.to_string()});
    EXPECT_TRUE(ended_first) << "the client had the manifest before the hook returned";
  }

  std::vector<std::string> told;
  bool ended = false;
  bool ended_first = false;
};

TEST_F(ManifestServedTest, FromTheOrigin) {
  const auto digest = origin.add(kManifest);
  EXPECT_EQ(read(digest), kManifest);
  expect_told_of(digest);
  EXPECT_TRUE(last_pull().verified);
}

TEST_F(ManifestServedTest, FromTheOriginInChunks) {
  const auto digest = Digest::parse("sha256:" + std::string(64, '0'));
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes(kManifest));
  const auto right = Digest::of(HashAlgorithm::sha256, hasher);
  origin.server.handler = [](http::Connection& connection, http::Request) -> awaitable<bool> {
    http::Response response{.status = 200, .body = {http::BodyLength::Kind::chunked, 0}};
    (void)co_await connection.write_response(response);
    (void)co_await connection.write_body(as_bytes(std::string_view(kManifest)));
    (void)co_await connection.finish_body();
    co_return true;
  };
  EXPECT_EQ(read(right), kManifest);
  expect_told_of(right);
  told.clear();
  EXPECT_EQ(read(*digest), kManifest);
  EXPECT_EQ(told, std::vector<std::string>{}) << "it isn't what its digest says";
}

TEST_F(ManifestServedTest, FromAPeer) {
  const auto digest = add_peer().add(kManifest);
  EXPECT_EQ(read(digest), kManifest);
  expect_told_of(digest);
}

TEST_F(ManifestServedTest, FromTheStore) {
  const auto digest = store.add(kManifest);
  EXPECT_EQ(read(digest), kManifest);
  expect_told_of(digest);
}

TEST_F(ManifestServedTest, NotWhenNoneWasServed) {
  const auto digest = store.add(kManifest);
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/manifests/" + digest.to_string()).status, 200U);
  EXPECT_EQ(get_blob(digest).body, kManifest);
  EXPECT_EQ(told, std::vector<std::string>{});
}

}  // namespace
}  // namespace hagring::registry
