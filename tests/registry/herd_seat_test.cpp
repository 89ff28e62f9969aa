// SPDX-License-Identifier: Apache-2.0
// What this node's clients get from herds, and what their node tells the coordinator.
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
  finish_background();
  EXPECT_EQ(mesh.ended(), (std::vector{Outcome::whole})) << "it is a holder itself now";
}

/// A peer that has it, and from which others want it, too, sends who can join them there.
struct LedTest : HerdTest {
  LedTest() { peer.turns.push_back({.status = 503, .headers = {{"X-Hagring-Join", "1"}}}); }
  test::FakeRegistry& peer = add_peer();
  Digest digest = peer.add("small and public");
};

TEST_F(LedTest, WhoIsLedToTheHerdJoinsIt) {
  (void)other.add("small and public");
  answer_joins(Holder{"other"});
  EXPECT_EQ(get_blob_of("x", digest).body, "small and public");
  ASSERT_EQ(peer.server.requests.size(), 1U);
  EXPECT_EQ(peer.server.requests[0].headers.get("X-Hagring-Join"), "");
  EXPECT_EQ(other.server.requests.size(), 1U);
  EXPECT_FALSE(other.server.requests[0].headers.contains("X-Hagring-Join")) << "it was named";
  EXPECT_EQ(asked("GET"), 0);
}

TEST_F(LedTest, WhereTheHerdGivesNothingThePeerIsAskedAgain) {
  EXPECT_EQ(get_blob_of("x", digest).body, "small and public");
  ASSERT_EQ(peer.server.requests.size(), 2U);
  EXPECT_FALSE(peer.server.requests[1].headers.contains("X-Hagring-Join"));
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

TEST_F(HerdTest, LimitThatOthersWereToldOfIsToldToTheClientUnasked) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "wanted by many");
  answer_joins(Wait{.epoch = 1, .limited_ms = 1500});
  const auto reply = get_blob_of("x", digest);
  EXPECT_EQ(reply.status, 429U);
  EXPECT_EQ(reply.headers.get("Retry-After"), "2");
  EXPECT_EQ(asked("GET"), 0);
}

TEST_F(HerdTest, LimitOfTheOriginsIsToldToTheHerd) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "wanted by many");
  origin.turns.push_back({.status = 429});
  answer_joins(Fetch{.epoch = 1});
  EXPECT_EQ(get_blob_of("x", digest).status, 429U);
  EXPECT_EQ(mesh.ended().front(), Outcome::limited);
}

std::shared_ptr<Child> child_of(const NodeId& node) {
  auto child = std::make_shared<Child>();
  child->node = node;
  return child;
}

struct HungControlTest : HerdTest {
  HungControlTest() : HerdTest({}, true) {}
};

TEST_F(HungControlTest, NoPullWaitsForIt) {
  repositories["x"].credentials = {""};
  const auto digest = publish("x", "from the origin");
  const auto begin = clock.now();
  EXPECT_EQ(get_blob_of("x", digest).body, "from the origin");
  EXPECT_LT(clock.now() - begin, std::chrono::seconds(2));
}

/// A client goes while its node fetches for a child, and then the origin stalls.
struct ClientGoneTest : HerdTest {
  ClientGoneTest() {
    repositories["x"].credentials = {"Bearer alice", "Bearer bob"};
    origin.turns.push_back({.stall_at = 1 << 20});
    origin_limits.stall = std::chrono::milliseconds(300);
    answer_joins(Fetch{.epoch = 1});
  }
  void ask_and_go() {
    with_client([&](http::Connection& connection) -> awaitable<void> {
      http::Request request{.method = "GET", .target = blob_path("x", digest)};
      request.headers.add("Host", about.host);
      request.headers.add("Authorization", "Bearer alice");
      (void)co_await connection.write_request(request);
      (void)co_await connection.finish_body();
      EXPECT_EQ((co_await connection.read_response("GET"))->status, 200U);
      const auto party = herd_part.find({.digest = digest});
      EXPECT_TRUE(party);
      party->child_asks(child_of("other"));
      stop();
    });
    const auto limit = clock.now() + std::chrono::seconds(10);
    while (mesh.ended().empty() && clock.now() < limit) {
      context.run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(mesh.ended(), (std::vector{Outcome::origin_failed}));
  }

  const std::string content = test::noise(8 << 20);
  const Digest digest = publish("x", content);
};

/// Nothing is asked of the origin in the name of a client that has gone.
TEST_F(ClientGoneTest, BrokenFetchEnds) {
  ask_and_go();
  EXPECT_EQ(asked("GET"), 1) << "the fetch that broke off, and no other";
}

TEST_F(ClientGoneTest, AnotherClientsCredentialsGoOn) {
  ask_and_go();
  EXPECT_EQ(get_blob_of("x", digest, "Bearer bob").body, content);
  EXPECT_EQ(asked("GET"), 2) << "the rest, for the client and the child";
  EXPECT_EQ(herd_part.counters().promotions, 1U);
}

TEST_F(HerdTest, ChildThatConnectsAnewIsNotTakenForGoneWhenItsFormerStreamEnds) {
  const auto digest = other.add("x");
  std::size_t before = 9;
  std::size_t after = 9;
  // The party waits for the coordinator's word meanwhile.
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    const auto party = herd_part.find({.digest = digest});
    if (!std::holds_alternative<Join>(body) || !party) return std::nullopt;
    const auto former = child_of("other");
    const auto anew = child_of("other");
    party->child_asks(former);
    party->child_asks(anew);
    before = herd_part.load()->children();
    EXPECT_EQ(former->state, Child::State::dropped);
    party->child_left(former);
    after = herd_part.load()->children();
    party->child_left(anew);
    return Holder{"other"};
  };
  EXPECT_EQ(get_blob_of("x", digest).status, 200U);
  EXPECT_EQ(before, 1U);
  EXPECT_EQ(after, 1U);
  EXPECT_EQ(herd_part.load()->children(), 0U);
}

/// Threat: a member that has this node talk without end.
TEST_F(HerdTest, OrdersForHerdsThatItIsNotInAreAnsweredForAWhileOnly) {
  const auto digest = *Digest::parse("sha256:" + std::string(64, 'a'));
  for (int i = 0; i < 500; ++i) mesh.say({.digest = digest}, Wait{});
  context.restart();
  context.poll();
  EXPECT_FALSE(mesh.ended().empty());
  EXPECT_LE(mesh.ended().size(), 64U);
}

struct BrokenFetchTest : HerdTest {
  BrokenFetchTest() : HerdTest({.stall = std::chrono::milliseconds(300)}) {}
};

/// Children get what its end leaves behind.
TEST_F(BrokenFetchTest, WhatHasComeOfItIsSigned) {
  repositories["x"].credentials = {""};
  const auto content = test::noise(40 * kPieceSize);
  const auto digest = publish("x", content);
  origin.turns.push_back({.cut_at = 20 * kPieceSize});
  origin.turns.push_back({.status = 404});
  PerStripe have{};
  PerStripe covered{};
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    if (std::holds_alternative<Join>(body)) return Fetch{.epoch = 1};
    const auto party = herd_part.find({.digest = digest});
    if (std::holds_alternative<Ended>(body) && party && party->spool() && have[0] == 0) {
      have = party->spool()->have();
      covered = party->spool()->covered();
    }
    return std::nullopt;
  };
  EXPECT_EQ(get_blob_of("x", digest).body, content);
  mesh.answer = nullptr;  // what it refers to goes
  EXPECT_EQ(mesh.ended().front(), Outcome::denied);
  EXPECT_GE(have[0] + have[1], 19U);
  EXPECT_EQ(covered, have);
}

}  // namespace
}  // namespace hagring::herd
