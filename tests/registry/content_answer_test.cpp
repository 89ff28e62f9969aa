// SPDX-License-Identifier: Apache-2.0
#include "registry/content_answer.hpp"

#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using Kind = http::BodyLength::Kind;

struct ContentAnswerTest : MirrorTest {
  const std::string content = test::noise(1000);
  const Digest digest = store.add(content);
  const std::string tag = "\"" + digest.to_string() + "\"";
};

TEST_F(ContentAnswerTest, ContentThatTheClientHasIsNotSentAgain) {
  for (const auto& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    const auto reply = get_blob(digest, {{"If-None-Match", known}});
    EXPECT_EQ(reply.status, 304U) << known;
    EXPECT_EQ(reply.header("ETag"), tag);
    EXPECT_EQ(reply.body, "");
    EXPECT_TRUE(last_pull().complete);
  }
  EXPECT_EQ(get_blob(digest, {{"If-None-Match", "\"sha256:other\""}}).body, content);
}

TEST_F(ContentAnswerTest, UnchangedIsSaidOfPeersContentToo) {
  auto& peer = add_peer();
  for (const auto size : {1000U, 5'000'000U}) {
    const auto theirs = peer.add(test::noise(size, 2));
    const auto etag = "\"" + theirs.to_string() + "\"";
    EXPECT_EQ(get_blob(theirs, {{"If-None-Match", etag}}).status, 304U);
    EXPECT_EQ(get_blob(theirs).body.size(), size);
  }
}

TEST_F(ContentAnswerTest, ConnectionGoesOnAfterAnswersWithoutABody) {
  std::vector<unsigned> statuses;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    const auto path = "/v2/a/blobs/" + digest.to_string();
    const std::vector<std::pair<std::string, http::Headers>> asked = {
        {"GET", {{"If-None-Match", tag}}},
        {"HEAD", {}},
        {"GET", {{"Range", "bytes=2000-"}}},
        {"GET", {}}};
    for (auto [method, headers] : asked) {
      headers.set("Host", about.host);
      const http::Request request{.method = method, .target = path, .headers = headers};
      (void)co_await connection.write_request(request);
      (void)co_await connection.finish_body();
      const auto response = co_await connection.read_response(method);
      statuses.push_back(response ? response->status : 0);
      EXPECT_TRUE(co_await connection.skip_body(2000));
    }
  });
  EXPECT_THAT(statuses, testing::ElementsAre(304, 200, 416, 200));
}

TEST_F(ContentAnswerTest, RangeUnderAConditionCountsIfTheConditionHolds) {
  const auto part = get_blob(digest, {{"Range", "bytes=100-"}, {"If-Range", tag}});
  EXPECT_EQ(part.status, 206U);
  const auto whole = get_blob(digest, {{"Range", "bytes=100-"}, {"If-Range", "\"other\""}});
  EXPECT_EQ(whole.status, 200U);
  EXPECT_EQ(whole.body, content);
}

TEST_F(ContentAnswerTest, RangesOfAllForms) {
  const auto range = [&](const std::string& text) { return get_blob(digest, {{"Range", text}}); };
  EXPECT_EQ(range("bytes=-100").header("Content-Range"), "bytes 900-999/1000");
  EXPECT_EQ(range("bytes=-100").body, content.substr(900));
  EXPECT_EQ(range("bytes=-5000").header("Content-Range"), "bytes 0-999/1000");
  EXPECT_EQ(range("bytes=999-5000").body, content.substr(999));
  EXPECT_EQ(range("bytes=0-").status, 206U);
  EXPECT_EQ(range("bytes=0-0,5-6").status, 200U);  // several: all of it
  EXPECT_EQ(range("lines=1-2").status, 200U);
  EXPECT_EQ(range("bytes=-0").status, 416U);
  const auto beyond = range("bytes=1000-");
  EXPECT_EQ(beyond.status, 416U);
  EXPECT_EQ(beyond.header("Content-Range"), "bytes */1000");
  const auto head = ask("HEAD", "/v2/a/blobs/" + digest.to_string(), {{"Range", "bytes=5-"}});
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.length.bytes, 1000U);
}

/// Blobs of zero bytes and of one, wherever they come from.
struct TinyBlob : MirrorTest, testing::WithParamInterface<std::tuple<int, int>> {};

TEST_P(TinyBlob, IsServed) {
  const auto [size, where] = GetParam();
  const std::string content(static_cast<std::size_t>(size), 'x');
  Digest digest = origin.add(content);
  if (where == 0) store.add(content);
  if (where == 1) add_peer().add(content);
  for (const http::Headers& headers : {http::Headers{}, http::Headers{{"Range", "bytes=0-"}}}) {
    const auto reply = get_blob(digest, headers);
    EXPECT_EQ(reply.error, error_code());
    EXPECT_EQ(reply.status, headers.contains("Range") && size > 0 ? 206U : 200U);
    EXPECT_EQ(reply.length.kind, Kind::length);
    EXPECT_EQ(reply.body, content);
    EXPECT_TRUE(last_pull().verified);
    EXPECT_TRUE(last_pull().complete);
  }
  const auto head = ask("HEAD", "/v2/library/nginx/blobs/" + digest.to_string());
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.length.bytes, content.size());
}

INSTANTIATE_TEST_SUITE_P(Mirror, TinyBlob,
                         testing::Combine(testing::Values(0, 1), testing::Range(0, 3)));

/// A blob of 5 GiB, of which nobody has more than the bytes that are asked for.
struct HugeBlob : MirrorTest {
  static constexpr std::uint64_t kHuge = 5ULL << 30;
  static constexpr std::uint64_t k4GiB = 1ULL << 32;

  static char at(std::uint64_t offset) { return static_cast<char>('a' + offset % 23); }
  static std::string bytes(std::uint64_t first, std::uint64_t end) {
    std::string text;
    while (first < end) text += at(first++);
    return text;
  }

  /// Has a server answer ranges, and break off at `cut` of the content.
  static void serve(test::FakeRegistry& server, std::uint64_t cut = kHuge) {
    server.server.handler = [cut](http::Connection& connection,
                                  http::Request request) -> awaitable<bool> {
      const auto part = select_range(request.headers.get("Range"), kHuge);
      http::Response response{.status = part.kind == Selection::Kind::part ? 206U : 200U,
                              .body = {Kind::length, part.length}};
      if (response.status == 206) response.headers.add("Content-Range", content_range(part, kHuge));
      if (!co_await connection.write_response(response)) co_return false;
      if (request.method == "HEAD") co_return true;
      const auto text = bytes(part.first, std::min(part.first + part.length, cut));
      co_return co_await connection.write_body(as_bytes(text)) && co_await connection.finish_body();
    };
  }
  Reply get_part() { return get_blob(digest, {{"Range", "bytes=4294967000-4294967999"}}); }
  void expect_part(const Reply& reply) const {
    EXPECT_EQ(reply.status, 206U);
    EXPECT_EQ(reply.header("Content-Range"), "bytes 4294967000-4294967999/5368709120");
    EXPECT_EQ(reply.body, bytes(4294967000, 4294968000));
    EXPECT_EQ(reply.error, error_code());
  }

  const Digest digest = Digest::parse("sha256:" + std::string(64, '5')).value();
};

TEST_F(HugeBlob, OfTheStore) {
  store.add_as(digest, "", kHuge);
  store.truncate(digest, kHuge);
  EXPECT_EQ(ask("HEAD", "/v2/a/blobs/" + digest.to_string()).length.bytes, kHuge);
  const auto reply = get_blob(digest, {{"Range", "bytes=4294967290-4294967309"}});
  EXPECT_EQ(reply.header("Content-Range"), "bytes 4294967290-4294967309/5368709120");
  EXPECT_EQ(reply.body, std::string(20, '\0'));
}

TEST_F(HugeBlob, OfTheOriginWhichDiesAt4GiB) {
  serve(origin, k4GiB);
  const auto reply = get_part();
  EXPECT_EQ(reply.body, bytes(4294967000, k4GiB));
  EXPECT_EQ(reply.error, Errc::bad_message);
  EXPECT_EQ(origin.server.requests.back().headers.get("Range"), "bytes=4294967296-4294967999");
  serve(origin);
  expect_part(get_part());
}

TEST_F(HugeBlob, OfPeersOfWhichOneDiesAt4GiB) {
  origin.behaviour.status = 503;
  serve(add_peer(), k4GiB);
  serve(add_peer(), k4GiB + 100);
  serve(add_peer());
  // Whoever is asked first, the others go on.
  expect_part(get_part());
  EXPECT_EQ(ask("HEAD", "/v2/a/blobs/" + digest.to_string()).length.bytes, kHuge);
}

/// Parts of a small blob whose size a manifest has told.
struct PartOfASmallBlob : MirrorTest {
  PartOfASmallBlob() {
    sizes.learn(digest,
                R"({"schemaVersion":2,"layers":[],"config":{"digest":")" + digest.to_string() +
                    R"(","size":5000,"mediaType":"application/vnd.oci.image.config.v1+json"}})");
    origin.contents.clear();
    origin.behaviour.status = 503;
  }
  const std::string content = test::noise(5000);
  const Digest digest = origin.add(content);
};

TEST_F(PartOfASmallBlob, FromAPeerIsVerified) {
  auto& liar = add_peer();
  liar.add(content);
  liar.behaviour.wrong_at = 10;  // not in the part
  add_peer().add(content);
  for (const auto* range : {"bytes=4000-", "bytes=-1000", "bytes=4000-4999"}) {
    const auto reply = get_blob(digest, {{"Range", range}});
    EXPECT_EQ(reply.status, 206U);
    EXPECT_EQ(reply.header("Content-Range"), "bytes 4000-4999/5000");
    EXPECT_TRUE(reply.body == content.substr(4000));
    EXPECT_TRUE(last_pull().verified);
  }
}

}  // namespace
}  // namespace hagring::registry
