// SPDX-License-Identifier: Apache-2.0
// What this node's clients get from herds, and what their node tells the coordinator.
#include <algorithm>

#include "tests/registry/herd_fixture.hpp"

namespace hagring::herd {
namespace {

using registry::kManifest;
using registry::PullSource;

TEST_F(HerdTest, HolderGivesTheWholeBlob) {
  const auto digest = other.add("small and public");
  answer_joins(Holder{"other"});
  const auto reply = get_blob_of("x", digest);
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, "small and public");
  EXPECT_EQ(asked("GET"), 0);
}

/// The mark comes with the holder's answer: it must count before a byte is passed on.
TEST_F(HerdTest, PrivateBlobOfAHolderNeedsTheOriginsYes) {
  repositories["team/app"].credentials = {"Bearer alice"};
  const auto digest = publish("team/app", "small and private");
  give(other, "small and private", "docker.io/team/app");
  answer_joins(Holder{"other"});
  const auto begin = clock.now();
  const auto reply = get_blob_of("team/app", digest);
  EXPECT_EQ(reply.status, 401U);
  EXPECT_EQ(reply.body, "the origin's own");
  EXPECT_EQ(finished.size(), 0U);
  EXPECT_LT(clock.now() - begin, std::chrono::seconds(4)) << "the herd is asked no more";
  EXPECT_EQ(get_blob_of("team/app", digest, "Bearer alice").status, 200U);
}

TEST_F(HerdTest, PrivateManifestOfAHolderNeedsTheOriginsYes) {
  repositories["team/app"].credentials = {"Bearer alice"};
  const auto digest = publish("team/app", kManifest);
  give(other, kManifest, "docker.io/team/app");
  answer_joins(Holder{"other"});
  const auto path = manifest_path("team/app", digest.to_string());
  EXPECT_EQ(get_of(path).status, 401U);
  EXPECT_EQ(finished.size(), 0U);
}

/// A client that knows no size learns only from the answer that it can't be shared.
struct NoRoomTest : HerdTest {
  NoRoomTest() : HerdTest({.spools = {.bytes = 1}}) {}
};

TEST_F(NoRoomTest, FetcherTellsTheHerdAtOnceThatItCantShare) {
  repositories["x"].credentials = {""};
  const auto content = test::noise(6 << 20);
  const auto digest = publish("x", content);
  answer_joins(Fetch{.epoch = 1});
  std::vector<Outcome> at_begin;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    http::Request request{.method = "GET", .target = blob_path("x", digest)};
    request.headers.add("Host", about.host);
    (void)co_await connection.write_request(request);
    (void)co_await connection.finish_body();
    const auto response = co_await connection.read_response("GET");
    EXPECT_EQ(response->status, 200U);
    std::string body;
    Bytes buffer(64 * 1024);
    while (true) {
      const auto size = co_await connection.read_body(buffer);
      if (!size || *size == 0) break;
      body += as_text(ByteView(buffer).first(*size));
      if (body.size() < content.size() / 2) at_begin = mesh.ended();
    }
    EXPECT_EQ(body, content);
  });
  EXPECT_EQ(at_begin, (std::vector{Outcome::denied, Outcome::left}));
}

TEST_F(NoRoomTest, TakesNoSeatWhereTheSizeIsKnown) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "{}");
  sizes.learn(publish("x", kManifest), kManifest);
  ASSERT_EQ(sizes.of(digest), 2U);
  answer_joins(Fetch{.epoch = 1});
  EXPECT_EQ(get_blob_of("x", digest).status, 200U);
  EXPECT_TRUE(mesh.sent.empty());
}

TEST_F(HerdTest, CodedAnswerIsToldToTheHerdAtOnce) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "what a coding hides");
  origin.behaviour.headers = {{"Content-Encoding", "x-other"}};
  answer_joins(Fetch{.epoch = 1});
  EXPECT_EQ(get_blob_of("x", digest).status, 200U);
  EXPECT_EQ(mesh.ended().front(), Outcome::denied);
}

/// The coordinator may change its mind while a holder is asked: there is no size yet.
TEST_F(HerdTest, OrderToFetchWhileAHolderIsAskedIsCarriedOutByTheClient) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "small");
  other.server.handler = [&](http::Connection&, http::Request) -> awaitable<bool> {
    mesh.say({.digest = digest}, Fetch{.epoch = 1});
    asio::steady_timer soon(co_await asio::this_coro::executor, std::chrono::milliseconds(50));
    co_await soon.async_wait(kTuple);
    co_return false;
  };
  answer_joins(Holder{"other"});
  EXPECT_EQ(get_blob_of("x", digest).body, "small");
  EXPECT_EQ(finished.size(), 1U) << "it is fed to the herd";
}

}  // namespace
}  // namespace hagring::herd
