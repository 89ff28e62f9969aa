// SPDX-License-Identifier: Apache-2.0
// What nodes that lie come to: whose bytes are taken, and who is blamed.
#include <algorithm>

#include "tests/registry/herd_fixture.hpp"

namespace hagring::herd {
namespace {

TEST_F(HerdTest, PiecesOfAHeadThatIsNamedLateWaitForThat) {
  repositories["x"].credentials = {""};
  const std::string content = "signed by a new head";
  const auto digest = publish("x", content);
  other.server.handler = [&](http::Connection& connection, http::Request) -> awaitable<bool> {
    const bool open = co_await send_stripe(connection, content, "new head", content);
    asio::steady_timer soon(co_await asio::this_coro::executor, std::chrono::milliseconds(100));
    co_await soon.async_wait(kTuple);
    EXPECT_EQ(herd_part.counters().bytes_in, 0U);
    mesh.say({.digest = digest}, Stream{.epoch = 2, .head = "new head"});
    co_return open;
  };
  answer_joins(stream_from_other("former head"));
  EXPECT_EQ(get_blob_of("x", digest).body, content);
  EXPECT_EQ(herd_part.counters().bytes_in, content.size());
  EXPECT_EQ(asked("GET"), 0);
}

/// Threat: a parent that signs what it made up. It may be an honest one, too, and isn't banned.
TEST_F(HerdTest, PiecesOfAHeadThatNobodyNamesAreNotTaken) {
  repositories["x"].credentials = {""};
  const std::string content = "what the digest is of";
  const auto digest = publish("x", content);
  other.server.handler = [&](http::Connection& connection, http::Request) {
    const std::string made_up(content.size(), 'x');
    return send_stripe(connection, made_up, "other", made_up);
  };
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    if (std::holds_alternative<Join>(body)) return stream_from_other("head");
    const auto* lost = std::get_if<Lost>(&body);
    if (lost == nullptr || lost->parent != "other") return std::nullopt;
    EXPECT_EQ(lost->why, LostWhy::refused);
    return Fetch{.epoch = 2};
  };
  EXPECT_EQ(get_blob_of("x", digest).body, content);
  EXPECT_EQ(herd_part.counters().bytes_in, 0U);
  EXPECT_TRUE(conduct.may_ask(mesh.places.at("other").key()));
}

TEST_F(HerdTest, AParentThatSendsWhatWasNotSignedIsBanned) {
  repositories["x"].credentials = {""};
  const std::string content = "what the digest is of";
  const auto digest = publish("x", content);
  other.server.handler = [&](http::Connection& connection, http::Request) {
    return send_stripe(connection, content, "head", std::string(content.size(), 'x'));
  };
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    if (std::holds_alternative<Join>(body)) return stream_from_other("head");
    return std::holds_alternative<Lost>(body) ? std::optional<Body>(Fetch{.epoch = 2})
                                              : std::nullopt;
  };
  EXPECT_EQ(get_blob_of("x", digest).body, content);
  EXPECT_TRUE(conduct.banned(mesh.places.at("other").key()));
}

/// A client that got it elsewhere says nothing of what is in the spool.
TEST_F(HerdTest, SpoolIsKeptOnlyIfItsOwnBytesAreVerified) {
  repositories["x"].credentials = {""};
  const std::string content = "what the digest is of";
  const std::string false_one(content.size(), 'x');
  const auto digest = publish("x", content);
  other.server.handler = [&](http::Connection& connection, http::Request) {
    return send_stripe(connection, false_one, "other", false_one);
  };
  const auto serve = origin.server.handler;
  const auto spooled = [&] {
    const auto party = herd_part.find({.digest = digest});
    return party && party->spool() && party->spool()->whole();
  };
  origin.server.handler = [&](http::Connection& connection,
                              http::Request request) -> awaitable<bool> {
    // The coordinator has somebody better, and the client goes on with the answer by itself.
    mesh.say({.digest = digest}, Stream{.epoch = 2,
                                        .head = "other",
                                        .size = content.size(),
                                        .sources = {{.stripe = 0, .parent = "other"}}});
    asio::steady_timer tick(co_await asio::this_coro::executor);
    const auto limit = clock.now() + std::chrono::seconds(3);
    while (!spooled() && clock.now() < limit) {
      tick.expires_after(std::chrono::milliseconds(5));
      co_await tick.async_wait(kTuple);
    }
    EXPECT_TRUE(spooled());
    co_return co_await serve(connection, std::move(request));
  };
  answer_joins(Fetch{.epoch = 1});
  EXPECT_EQ(get_blob_of("x", digest).body, content);
  const auto limit = clock.now() + std::chrono::seconds(3);
  while (mesh.ended().empty() && clock.now() < limit) {
    context.run_one_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(finished.size(), 0U);
  EXPECT_EQ(mesh.ended(), (std::vector{Outcome::corrupt}));
  origin.server.handler = serve;
  // Nobody is blamed until the right bytes are there.
  const auto key = mesh.places.at("other").key();
  EXPECT_FALSE(conduct.banned(key));
  store.add(content);
  herd_part.committed(digest);
  while (!conduct.banned(key) && clock.now() < limit) {
    context.run_one_for(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(conduct.banned(key));
}

struct ImpatientTest : HerdTest {
  ImpatientTest() : HerdTest({.stall = std::chrono::milliseconds(300)}) {}
};

/// Threat: a head that sends some wrong pieces and is gone before the end.
TEST_F(ImpatientTest, AHeadThatEndsInMidLieIsFoundOut) {
  repositories["x"].credentials = {""};
  const auto content = test::noise(4 * kPieceSize);
  const auto digest = publish("x", content);
  other.server.handler = [&](http::Connection& connection, http::Request) -> awaitable<bool> {
    const std::string made_up(kPieceSize, 'x');
    co_await begin_stripe(connection, content.size());
    co_await send_first(connection, "other", made_up, made_up);
    co_return false;
  };
  answer_joins(stream_from_other("other"));
  EXPECT_EQ(get_blob_of("x", digest).status, 200U);
  EXPECT_EQ(herd_part.counters().bytes_in, kPieceSize);
  const auto ended = mesh.ended();
  EXPECT_TRUE(std::ranges::find(ended, Outcome::corrupt) == ended.end())
      << "nobody has had all of it";
  const auto key = mesh.places.at("other").key();
  EXPECT_FALSE(conduct.banned(key));
  store.add(content);
  const auto limit = clock.now() + std::chrono::seconds(3);
  while (!conduct.banned(key) && clock.now() < limit) {
    herd_part.committed(digest);
    context.run_one_for(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(conduct.banned(key));
}

}  // namespace
}  // namespace hagring::herd
