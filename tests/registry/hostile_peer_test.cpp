// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLarge = 6'000'000;  // above MirrorOptions::verify_whole

TEST_F(MirrorTest, CorruptedSmallBlobIsNeverSent) {
  const auto content = test::noise(200'000);
  auto& liar = add_peer();
  auto& honest = add_peer();
  const auto digest = liar.add(content);
  honest.add(content);
  liar.behaviour.wrong_at = 77;
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.status, 200U);
  EXPECT_TRUE(reply.body == content);
  EXPECT_TRUE(store.aborted().empty());
}

TEST_F(MirrorTest, WithoutHonestPeersACorruptedSmallBlobComesFromTheOrigin) {
  const auto content = test::noise(200'000);
  auto& liar = add_peer();
  const auto digest = liar.add(content);
  origin.add(content);
  liar.behaviour.wrong_at = 77;
  const auto reply = get_blob(digest);
  EXPECT_TRUE(reply.body == content);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_TRUE(conduct.banned("peer-1"));
  ASSERT_EQ(conduct.banned().size(), 1U);
  EXPECT_THAT(conduct.banned().front().reason, testing::HasSubstr(digest.to_string()));
}

TEST_F(MirrorTest, TailOfACorruptedLargeBlobIsHeldBack) {
  const auto content = test::noise(kLarge);
  auto& liar = add_peer();
  auto& honest = add_peer();
  peer_list.pop_back();
  const auto digest = liar.add(content);
  honest.add(content);
  origin.add(content);
  liar.behaviour.wrong_at = 1'000'000;

  const auto poisoned = get_blob(digest);
  EXPECT_EQ(poisoned.status, 200U);
  EXPECT_EQ(poisoned.length.bytes, kLarge);
  EXPECT_EQ(poisoned.body.size(), kLarge - options.held_tail);
  EXPECT_EQ(poisoned.error, Errc::bad_message);  // FIN, short of the length; a RST is the system's
  EXPECT_EQ(poisoned.aborted, 1U);               // before the client saw the end
  EXPECT_EQ(store.aborted().front(), digest);
  EXPECT_TRUE(conduct.banned("peer-1"));
  EXPECT_FALSE(last_pull().complete);
  EXPECT_FALSE(last_pull().verified);

  // containerd resumes at once: the rest comes from the origin, whatever peers may have.
  const auto rest =
      get_blob(digest, {{"Range", "bytes=" + std::to_string(poisoned.body.size()) + "-"}});
  EXPECT_EQ(rest.status, 206U);
  EXPECT_TRUE(rest.body == content.substr(poisoned.body.size()));
  EXPECT_EQ(last_pull().source, PullSource::origin);

  // The next try starts anew, and at the origin.
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(liar.server.requests.size(), 1U);
}

TEST_F(MirrorTest, WrongLastByteIsNotSentEither) {
  const auto content = test::noise(kLarge);
  auto& liar = add_peer();
  const auto digest = liar.add(content);
  liar.behaviour.wrong_at = kLarge - 1;
  EXPECT_EQ(get_blob(digest).body.size(), kLarge - options.held_tail);
  EXPECT_EQ(store.aborted().size(), 1U);
}

TEST_F(MirrorTest, SharedGuiltIsOnlySuspected) {
  const auto content = test::noise(kLarge);
  auto& dying = add_peer();
  auto& other = add_peer();
  const auto digest = dying.add(content);
  other.add(content);
  dying.behaviour = {.cut_at = 3'000'000, .wrong_at = 5};
  other.behaviour = {.cut_at = 3'000'000, .wrong_at = 5};  // whichever is asked first
  origin.add(content);
  EXPECT_EQ(get_blob(digest).aborted, 1U);
  for (const auto& banned : conduct.banned()) EXPECT_LE(banned.remaining, 30min);
}

struct DyingPeer : MirrorTest, testing::WithParamInterface<std::tuple<int, bool, int>> {};

TEST_P(DyingPeer, BodyGoesOnFromAnotherSource) {
  const auto [tenth, reset, where] = GetParam();
  const bool large = where / 2 == 1;
  const auto content = test::noise(large ? kLarge : 900'000);
  auto& dying = add_peer();
  const auto digest = dying.add(content);
  dying.behaviour.cut_at = content.size() * static_cast<std::size_t>(tenth) / 10;
  dying.behaviour.reset = reset;
  auto& next = where % 2 == 0 ? add_peer() : origin;
  next.add(content);
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.error, error_code());
  EXPECT_TRUE(reply.body == content);
  EXPECT_TRUE(conduct.banned().empty());
  EXPECT_TRUE(last_pull().complete);
  EXPECT_TRUE(last_pull().verified);
}

INSTANTIATE_TEST_SUITE_P(Mirror, DyingPeer,
                         testing::Combine(testing::Range(0, 10), testing::Bool(),
                                          testing::Range(0, 4)));

TEST_F(MirrorTest, PeerThatStallsIsLeft) {
  peer_limits.stall = 50ms;
  const auto content = test::noise(kLarge);
  auto& stalling = add_peer();
  const auto digest = stalling.add(content);
  stalling.behaviour.stall_at = 2'000'000;
  origin.add(content);
  EXPECT_TRUE(get_blob(digest).body == content);
  // It would cost the next request the same time.
  ASSERT_EQ(conduct.paused().size(), 1U);
  EXPECT_THAT(conduct.paused().front().reason, testing::HasSubstr("fell silent"));
}

TEST_F(MirrorTest, PeerThatAnswersTooLateIsLeft) {
  fetcher_options.first_byte = 50ms;
  const auto content = test::noise(1000);
  auto& silent = add_peer();
  int asked = 0;
  silent.server.handler = [&](http::Connection&, http::Request) -> awaitable<bool> {
    ++asked;
    co_await clock.sleep_for(1h);
    co_return false;
  };
  const auto digest = origin.add(content);
  EXPECT_TRUE(get_blob(digest).body == content);
  // It costs one request its time, not each.
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(asked, 1);
}

/// A peer that sends one byte after another, and all at once after `crawled` of them.
struct CrawlingPeer : MirrorTest {
  CrawlingPeer() {
    fetcher_options.slow_after = 50ms;
    slow.server.handler = [this](http::Connection& connection, http::Request) -> awaitable<bool> {
      (void)co_await connection.write_response(
          {.status = 200, .body = {http::BodyLength::Kind::length, content.size()}});
      const std::string_view all(content);
      for (std::size_t i = 0; i < crawled; ++i) {
        if (!co_await connection.write_body(as_bytes(all.substr(i, 1)))) co_return false;
        co_await clock.sleep_for(5ms);
      }
      if (!co_await connection.write_body(as_bytes(all.substr(crawled)))) co_return false;
      co_return (co_await connection.finish_body()).has_value();
    };
  }
  const std::string content = test::noise(kLarge);
  test::FakeRegistry& slow = add_peer();
  const Digest digest = slow.add(content);
  std::size_t crawled = kLarge;
};

TEST_F(CrawlingPeer, IsNotLeftForAnOriginThatIsKnownToBeDown) {
  crawled = 60;
  dialer.black_hole = true;
  breaker.failed({.host = about.host}, Trouble::unreachable, "timed out", {});
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(dialer.dialled.size(), 1U);  // the peer
  EXPECT_TRUE(conduct.paused().empty());
}

TEST_F(CrawlingPeer, IsReadOnWhenNoOtherSourceIsFoundSoon) {
  crawled = 60;
  dialer.black_hole = true;
  origin_limits.connect = 20s;
  fetcher_options.faster = 100ms;
  const auto begin = clock.now();
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_LT(clock.now() - begin, 15s);
  EXPECT_EQ(dialer.dialled.size(), 2U);  // the peer, and the origin once
}

TEST_F(CrawlingPeer, HasWhatItSentPassedOnBeforeAnotherSourceIsLookedFor) {
  origin.add(content);
  bool all_had_come = true;
  std::size_t come = 0;
  origin.server.handler = [&, answer = origin.server.handler](
                              http::Connection& connection,
                              http::Request request) -> awaitable<bool> {
    const auto range = ByteRange::parse(request.headers.get("Range").value_or(""));
    const auto wanted = range ? range->first.value_or(0) : 0;
    const auto end = clock.now() + 5s;
    while (come < wanted && clock.now() < end) co_await clock.sleep_for(5ms);
    all_had_come = come >= wanted;
    co_return co_await answer(connection, std::move(request));
  };
  fetcher_options.faster = 20s;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    (void)co_await connection.write_request(
        {.target = "/v2/library/nginx/blobs/" + digest.to_string(),
         .headers = {{"Host", about.host}}});
    (void)co_await connection.finish_body();
    (void)co_await connection.read_response("GET");
    Bytes buffer(64UL * 1024);
    while (true) {
      const auto size = co_await connection.read_body(buffer);
      if (!size || *size == 0) break;
      come += *size;
    }
  });
  EXPECT_EQ(come, content.size());
  EXPECT_TRUE(all_had_come);
  EXPECT_GE(origin.server.requests.size(), 1U);
}

TEST_F(CrawlingPeer, IsLeft) {
  origin.add(content);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_TRUE(last_pull().verified);
  ASSERT_EQ(conduct.paused().size(), 1U);
  EXPECT_THAT(conduct.paused().front().reason, testing::HasSubstr("too slowly"));
}

TEST_F(MirrorTest, SourcesThatDisagreeOnTheSizeAreNotMixed) {
  const auto content = test::noise(kLarge);
  auto& dying = add_peer();
  const auto digest = dying.add(content);
  dying.behaviour.cut_at = 3'000'000;
  origin.contents[digest.to_string()] = content + "more";
  const auto reply = get_blob(digest);
  EXPECT_EQ(reply.body.size(), 3'000'000U);
  EXPECT_EQ(reply.error, Errc::bad_message);
  EXPECT_TRUE(conduct.banned().empty());
}

TEST_F(MirrorTest, PeerThatContradictsAManifestOnTheSizeIsNotHeard) {
  const auto content = test::noise(1000);
  auto& liar = add_peer();
  const auto layer = origin.add(content);
  liar.contents[layer.to_string()] = test::noise(kLarge);
  const auto manifest = origin.add(
      R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",)"
      R"("digest":")" +
      layer.to_string() + R"(","size":1000},"layers":[]})");
  EXPECT_EQ(ask("GET", "/v2/library/nginx/manifests/" + manifest.to_string()).status, 200U);
  EXPECT_TRUE(last_pull().verified);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_TRUE(get_blob(layer).body == content);
  EXPECT_EQ(last_pull().bytes, 1000U);
  EXPECT_TRUE(store.aborted().empty());
}

TEST_F(MirrorTest, SizesAreLearnedFromManifestsThatTheStoreHas) {
  // An agent that has just been started, and a runtime that has the manifests of a pull that broke
  // off: it asks what the tag points to, and then for what it lacks.
  const auto content = test::noise(1000);
  const auto layer = origin.add(content);
  const auto manifest = store.add(
      R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",)"
      R"("digest":")" +
      layer.to_string() + R"(","size":1000},"layers":[]})");
  const auto index = store.add(R"({"schemaVersion":2,"manifests":[{"size":5,"digest":")" +
                               Digest::parse("sha256:" + std::string(64, '0'))->to_string() +
                               R"(","mediaType":"a/b"},{"mediaType":"a/b","size":200,"digest":")" +
                               manifest.to_string() + R"("}]})");
  origin.contents[index.to_string()] = "of the origin's own";
  origin.tag("library/nginx/manifests/1", index);
  auto& liar = add_peer();
  liar.contents[layer.to_string()] = test::noise(kLarge);
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/manifests/1").status, 200U);
  EXPECT_EQ(last_pull().content, index.to_string());
  EXPECT_EQ(sizes.of(layer), std::optional<std::uint64_t>(1000));
  EXPECT_TRUE(get_blob(layer).body == content);
  EXPECT_TRUE(store.aborted().empty());
  // Each is read once.
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/manifests/1").status, 200U);
  EXPECT_EQ(store.opened(manifest), 1U);
}

TEST_F(MirrorTest, PeersInTroubleAreSkipped) {
  const auto content = test::noise(1000);
  for (const unsigned status : {500U, 429U, 302U, 401U}) {
    auto& peer = add_peer();
    peer.behaviour.status = status;
    peer.behaviour.location = "http://127.0.0.1:1/";
  }
  add_peer().server.close();
  const auto digest = add_peer().add(content);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(MirrorTest, RangesAreAskedOfPeersOnlyWhenTheOriginCannotAnswer) {
  const auto content = test::noise(100'000);
  auto& peer = add_peer();
  const auto digest = peer.add(content);
  origin.add(content);
  EXPECT_TRUE(get_blob(digest, {{"Range", "bytes=50000-"}}).body == content.substr(50'000));
  EXPECT_TRUE(peer.server.requests.empty());
  origin.behaviour.status = 503;
  const auto reply = get_blob(digest, {{"Range", "bytes=50000-59999"}});
  EXPECT_EQ(reply.status, 206U);
  EXPECT_EQ(reply.header("Content-Range"), "bytes 50000-59999/100000");
  EXPECT_TRUE(reply.body == content.substr(50'000, 10'000));
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_FALSE(last_pull().verified);
}

}  // namespace
}  // namespace hagring::registry
