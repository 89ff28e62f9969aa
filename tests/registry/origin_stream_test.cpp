// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using Kind = http::BodyLength::Kind;

constexpr std::size_t kSize = 2'000'000;

/// Content that the origin sends, and in which it fails.
struct OriginStream : MirrorTest {
  const std::string content = test::noise(kSize);
  const Digest digest = origin.add(content);

  std::string range_of(std::size_t request) const {
    return std::string(origin.server.requests.at(request).headers.get("Range").value_or(""));
  }
  void expect_whole(const Reply& reply) const {
    EXPECT_EQ(reply.status, 200U);
    EXPECT_EQ(reply.error, error_code());
    EXPECT_EQ(reply.length.bytes, kSize);
    EXPECT_TRUE(reply.body == content);
  }
};

struct OriginDies : OriginStream, testing::WithParamInterface<std::tuple<int, bool>> {};

TEST_P(OriginDies, AndGoesOnWhenItIsAskedAgain) {
  const auto [tenth, reset] = GetParam();
  const auto cut = kSize * static_cast<std::size_t>(tenth) / 10;
  origin.turns = {{.cut_at = cut, .reset = reset}};
  expect_whole(get_blob(digest, {{"Authorization", "Bearer secret"}}));
  ASSERT_EQ(origin.server.requests.size(), 2U);
  const auto range = ByteRange::parse(range_of(1));
  ASSERT_TRUE(range && range->first);
  EXPECT_LE(*range->first, cut);
  EXPECT_EQ(origin.server.requests[1].headers.get("Authorization"), "Bearer secret");
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_TRUE(last_pull().verified);
  EXPECT_TRUE(last_pull().complete);
}

INSTANTIATE_TEST_SUITE_P(Mirror, OriginDies,
                         testing::Combine(testing::Range(0, 10), testing::Bool()));

TEST_F(OriginStream, ThatFallsSilentIsAskedAgain) {
  origin_limits.stall = 50ms;
  origin.turns = {{.stall_at = 700'000}};
  expect_whole(get_blob(digest));
  EXPECT_EQ(range_of(1), "bytes=700000-");
}

TEST_F(OriginStream, SilenceBeforeTheHeadIsAnotherLimitThanSilenceInABody) {
  origin_limits.stall = 20ms;
  origin.server.handler = [this, answer = origin.server.handler](
                              http::Connection& connection,
                              http::Request request) -> awaitable<bool> {
    co_await clock.sleep_for(100ms);
    co_return co_await answer(connection, std::move(request));
  };
  expect_whole(get_blob(digest));
  EXPECT_EQ(origin.server.requests.size(), 1U);
}

TEST_F(OriginStream, WithoutRangesIsReadUpToThePlace) {
  origin.turns = {{.cut_at = 1'200'000}};
  origin.behaviour.ignores_range = true;
  expect_whole(get_blob(digest));
  EXPECT_EQ(origin.server.requests.size(), 2U);
}

TEST_F(OriginStream, ThatDiesAgainAndAgainIsAskedNoMoreOftenThanTheOptionsSay) {
  for (std::size_t i = 0; i < 20; ++i) origin.turns.push_back({.cut_at = 100'000 * (i + 1)});
  const auto reply = get_blob(digest);
  EXPECT_EQ(origin.server.requests.size(), 1U + fetcher_options.max_continuations);
  EXPECT_EQ(reply.error, Errc::bad_message);  // short of its length, with FIN
  EXPECT_EQ(reply.body, content.substr(0, reply.body.size()));
  EXPECT_FALSE(last_pull().complete);
  EXPECT_THAT(last_pull().note, testing::HasSubstr("no source is left"));
}

TEST_F(OriginStream, ThatGivesNothingMoreIsAskedTwice) {
  origin.turns = {{.cut_at = 100'000}};
  origin.behaviour.status = 503;
  const auto reply = get_blob(digest);
  EXPECT_EQ(origin.server.requests.size(), 3U);
  EXPECT_EQ(reply.error, Errc::bad_message);
  EXPECT_EQ(reply.body, content.substr(0, 100'000));
}

TEST_F(OriginStream, GoesOnAtAPeerWithItsTailHeldBackUntilAllIsVerified) {
  origin.turns = {{.cut_at = 1'000'000}};
  origin.behaviour.status = 503;
  auto& peer = add_peer();
  // It has the content only by then.
  peer.server.handler = [answer = peer.server.handler](http::Connection& connection,
                                                       http::Request request) -> awaitable<bool> {
    if (!request.headers.contains("Range")) {
      co_return (co_await connection.write_response_with({.status = 404}, "")).has_value();
    }
    co_return co_await answer(connection, std::move(request));
  };
  peer.add(content);
  expect_whole(get_blob(digest));
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(last_pull().peers, "peer-1");
  EXPECT_TRUE(last_pull().verified);

  // The same with a liar: the client doesn't get all of it, and the runtime drops what it has.
  conduct.wrong_digest(digest, {}, false);  // the origin is asked before peers
  origin.turns = {{.cut_at = 1'000'000}};
  peer.behaviour.wrong_at = 1'500'000;
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.error, Errc::bad_message);
  EXPECT_EQ(reply.body.size(), kSize - options.held_tail);
  EXPECT_EQ(reply.aborted, 1U);
  ASSERT_EQ(conduct.banned().size(), 1U);
  EXPECT_LE(conduct.banned().front().remaining, 1min);  // the origin may have been the liar
}

TEST_F(OriginStream, OfItselfWrongIsLeftToTheRuntime) {
  origin.behaviour.wrong_at = 5;
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.error, error_code());
  EXPECT_EQ(reply.body.size(), kSize);
  EXPECT_FALSE(last_pull().verified);
  EXPECT_TRUE(store.aborted().empty());
  EXPECT_TRUE(conduct.banned().empty());
}

TEST_F(OriginStream, RestOfABlobGoesOnToo) {
  origin.turns = {{.cut_at = 1'200'000}};
  const auto reply = get_blob(digest, {{"Range", "bytes=500000-"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 500000-1999999/2000000");
  EXPECT_TRUE(reply.body == content.substr(500'000));
  EXPECT_EQ(range_of(1), "bytes=1200000-");
}

TEST_F(OriginStream, PartOfABlobGoesOnToItsOwnEnd) {
  origin.turns = {{.cut_at = 600'000}};
  const auto reply = get_blob(digest, {{"Range", "bytes=500000-999999"}});
  EXPECT_EQ(reply.header("Content-Range"), "bytes 500000-999999/2000000");
  EXPECT_TRUE(reply.body == content.substr(500'000, 500'000));
  EXPECT_EQ(range_of(1), "bytes=600000-999999");
}

TEST_F(OriginStream, WithoutRangesStillGivesTheRest) {
  // containerd 2.1 takes a 200 in the middle of its parallel ranges for the chunk it asked for.
  origin.behaviour.ignores_range = true;
  const auto reply = get_blob(digest, {{"Range", "bytes=500000-"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 500000-1999999/2000000");
  EXPECT_EQ(reply.length.bytes, 1'500'000U);
  EXPECT_TRUE(reply.body == content.substr(500'000));
  // From the first byte on its own answer will do: a 200 ends parallel fetching.
  EXPECT_EQ(get_blob(digest, {{"Range", "bytes=0-"}}).status, 200U);
}

TEST_F(OriginStream, PipelinedRequestsAreAnsweredInOrderThoughOneBreaksOff) {
  origin.turns = {{.cut_at = 700'000}};
  const auto here = store.add("here");
  std::string bodies;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    std::string wire;
    for (const auto& wanted : {digest, here, digest}) {
      wire +=
          "GET /v2/a/blobs/" + wanted.to_string() + " HTTP/1.1\r\nHost: " + about.host + "\r\n\r\n";
    }
    (void)co_await connection.stream().write(as_bytes(wire));
    Bytes buffer(64UL * 1024);
    for (int i = 0; i < 3; ++i) {
      (void)co_await connection.read_response("GET");
      while (true) {
        const auto size = co_await connection.read_body(buffer);
        if (!size || *size == 0) break;
        bodies += as_text(ByteView(buffer).first(*size));
      }
    }
    EXPECT_TRUE(connection.reusable());
  });
  EXPECT_TRUE(bodies == content + "here" + content);
}

TEST_F(OriginStream, ConnectionsAreKeptOnBothSides) {
  auto& peer = add_peer();
  const auto large = peer.add(test::noise(5'000'000, 2));
  const auto small = peer.add(test::noise(5'000, 2));
  for (const auto* range : {"bytes=0-", "bytes=100-200", "bytes=100-"}) {
    EXPECT_EQ(get_blob(digest, {{"Range", range}}).error, error_code());
    EXPECT_EQ(last_pull().source, PullSource::origin);
    for (const auto& theirs : {large, small}) {
      EXPECT_EQ(get_blob(theirs).error, error_code());
      EXPECT_EQ(last_pull().source, PullSource::peer);
    }
  }
  EXPECT_EQ(origin.server.connections, 1);
  EXPECT_EQ(peer.server.connections, 1);
}

TEST_F(OriginStream, ManifestThatBreaksOffGoesOn) {
  const auto path = "/v2/library/nginx/manifests/" + digest.to_string();
  origin.turns = {{.cut_at = 1000}};
  origin.behaviour.ignores_range = true;  // as docker-registry does for manifests
  EXPECT_TRUE(ask("GET", path).body == content);
  EXPECT_TRUE(last_pull().verified);
}

TEST_F(OriginStream, OfUnknownLengthIsHandedOnAsItComes) {
  for (const auto framing : {Kind::chunked, Kind::until_close}) {
    origin.behaviour.framing = framing;
    const auto reply = get_blob(digest);
    EXPECT_EQ(reply.length.kind, Kind::chunked);
    EXPECT_TRUE(reply.body == content);
    EXPECT_TRUE(last_pull().complete);
  }
}

/// A manifest has told the blob's size.
struct OriginStreamOfKnownSize : OriginStream {
  OriginStreamOfKnownSize() {
    sizes.learn(digest,
                R"({"schemaVersion":2,"layers":[],"config":{"digest":")" + digest.to_string() +
                    R"(","size":2000000,"mediaType":"application/vnd.oci.image.config.v1+json"}})");
  }
};

TEST_F(OriginStreamOfKnownSize, HasALengthEvenIfTheOriginDoesNotTellOne) {
  for (const auto framing : {Kind::chunked, Kind::until_close}) {
    origin.behaviour.framing = framing;
    origin.turns = {{.cut_at = 900'000, .framing = framing}};
    expect_whole(get_blob(digest));
    EXPECT_TRUE(last_pull().verified);
  }
}

TEST_F(OriginStreamOfKnownSize, WithAnotherLengthIsHandedOnAsItComes) {
  origin.behaviour.claims = kSize + 5;
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.length.bytes, kSize + 5);
  EXPECT_EQ(reply.error, Errc::bad_message);
  EXPECT_EQ(origin.server.requests.size(), 1U);
}

TEST_F(OriginStreamOfKnownSize, CodedIsHandedOnAsItComes) {
  origin.behaviour.headers = {{"Content-Encoding", "gzip"}};
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.header("Content-Encoding"), "gzip");
  EXPECT_TRUE(reply.body == content);
  EXPECT_FALSE(last_pull().verified);
}

}  // namespace
}  // namespace hagring::registry
