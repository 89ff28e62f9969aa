// SPDX-License-Identifier: Apache-2.0
#include "registry/pulls_under_way.hpp"

#include <gmock/gmock.h>

#include <thread>

#include "tests/registry/mirror_fixture.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

TEST(PullsUnderWay, ShowsBytesAndTheRateOfTheLastMoments) {
  test::ManualClock clock;
  PullsUnderWay all(clock);
  Pull pull{.registry = "docker.io", .kind = PullKind::blob, .begin = clock.now()};
  PullsUnderWay::Entry entry(all, pull);
  EXPECT_EQ(all.oldest(9).at(0).pull.source, PullSource::none);
  clock.advance(3s);  // until the head came
  pull.status = 206;
  pull.source = PullSource::peer;
  entry.begun(1000, 5'000'000);
  EXPECT_FALSE(all.oldest(9).at(0).bytes_per_second);
  for (int i = 0; i < 4; ++i) {
    clock.advance(250ms);
    pull.bytes += 100'000;
    entry.update();
  }
  const auto shown = all.oldest(9).at(0);
  EXPECT_EQ(shown.pull.bytes, 400'000U);
  EXPECT_EQ(shown.first, 1000U);
  EXPECT_EQ(shown.length, 5'000'000U);
  EXPECT_EQ(shown.age, 4s);
  EXPECT_DOUBLE_EQ(*shown.bytes_per_second, 400'000);
  EXPECT_EQ(shown.pull.source, PullSource::peer);
}

TEST(PullsUnderWay, ASourceThatHasFallenSilentSlowsDown) {
  test::ManualClock clock;
  PullsUnderWay all(clock);
  Pull pull{.begin = clock.now(), .status = 200};
  PullsUnderWay::Entry entry(all, pull);
  entry.begun(0, 100);
  clock.advance(500ms);
  pull.bytes = 50;
  entry.update();
  EXPECT_DOUBLE_EQ(*all.oldest(9).at(0).bytes_per_second, 100);
  clock.advance(10s);
  EXPECT_DOUBLE_EQ(*all.oldest(9).at(0).bytes_per_second, 0);
}

TEST(PullsUnderWay, NamesOfSourcesThatChangeFollow) {
  test::ManualClock clock;
  PullsUnderWay all(clock);
  Pull pull{.begin = clock.now()};
  PullsUnderWay::Entry entry(all, pull);
  pull.source = PullSource::peer;
  pull.peers = "192.0.2.7:5000\x1b[2J";
  entry.update();
  EXPECT_EQ(all.oldest(9).at(0).pull.peers, "192.0.2.7:5000?[2J");  // for terminals
  EXPECT_EQ(all.counts()[static_cast<std::size_t>(PullSource::peer)], 1U);
  EXPECT_EQ(all.counts()[static_cast<std::size_t>(PullSource::none)], 0U);
}

TEST(PullsUnderWay, IsBounded) {
  test::ManualClock clock;
  PullsUnderWay all(clock);
  Pull pull{.reference = std::string(60'000, 'x'), .begin = clock.now()};
  std::list<PullsUnderWay::Entry> entries;
  for (int i = 0; i < 10; ++i) entries.emplace_back(all, pull);
  EXPECT_EQ(all.oldest(3).size(), 3U);
  EXPECT_LE(all.oldest(3).front().pull.reference.size(), 1000U);
  EXPECT_EQ(all.counts()[static_cast<std::size_t>(PullSource::none)], 10U);
  entries.clear();
  EXPECT_TRUE(all.oldest(3).empty());
}

TEST(PullsUnderWay, MayBeLookedAtFromAnotherThread) {
  SystemClock clock;
  PullsUnderWay all(clock);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      for (const auto& one : all.oldest(9)) EXPECT_LE(one.pull.bytes, 1000U);
      (void)all.counts();
    }
  });
  for (int round = 0; round < 200; ++round) {
    Pull pull{.begin = clock.now()};
    PullsUnderWay::Entry entry(all, pull);
    entry.begun(0, 1000);
    for (; pull.bytes < 1000; pull.bytes += 10) {
      pull.source = pull.bytes % 20 == 0 ? PullSource::peer : PullSource::origin;
      entry.update();
    }
  }
  done = true;
  reader.join();
}

struct MirrorUnderWay : MirrorTest {
  const std::string content = test::noise(6'000'000);

  /// What is shown once some of the body has come and the rest is held back; the client gives up.
  PullUnderWay at_rest(const Digest& digest, http::Headers headers, std::uint64_t bytes) {
    PullUnderWay shown;
    origin_limits.stall = peer_limits.stall = 500ms;  // what comes after the client has gone
    with_client([&](http::Connection& connection) -> awaitable<void> {
      http::Request request{.method = "GET",
                            .target = "/v2/library/nginx/blobs/" + digest.to_string(),
                            .headers = std::move(headers)};
      request.headers.add("Host", about.host);
      (void)co_await connection.write_request(request);
      (void)co_await connection.finish_body();
      (void)co_await connection.read_response("GET");
      Bytes buffer(100'000);
      for (std::uint64_t got = 0; got < bytes;) {
        const auto size = co_await connection.read_body(buffer);
        if (!size) break;
        got += *size;
      }
      // The mirror counts a piece when its write has returned, which may be after we have it.
      for (int i = 0; i < 200; ++i) {
        shown = under_way.oldest(9).at(0);
        if (shown.pull.bytes == bytes) break;
        co_await clock.sleep_for(1ms);
      }
    });
    EXPECT_TRUE(under_way.oldest(9).empty());
    return shown;
  }
};

TEST_F(MirrorUnderWay, ABlobFromTheOrigin) {
  const auto digest = origin.add(content);
  origin.behaviour.stall_at = 2'000'000;
  const auto shown = at_rest(digest, {{"Authorization", "Bearer secret"}}, 2'000'000);
  EXPECT_EQ(shown.pull.source, PullSource::origin);
  EXPECT_EQ(shown.pull.registry, "docker.io");
  EXPECT_EQ(shown.pull.reference, digest.to_string());
  EXPECT_EQ(shown.pull.bytes, 2'000'000U);
  EXPECT_EQ(shown.length, 6'000'000U);
  EXPECT_EQ(shown.first, 0U);
}

TEST_F(MirrorUnderWay, ThePartOfABlobThatAClientHasNotYet) {
  const auto digest = origin.add(content);
  origin.behaviour.stall_at = 2'000'000;
  const auto shown = at_rest(digest, {{"Range", "bytes=1500000-"}}, 500'000);
  EXPECT_EQ(shown.first, 1'500'000U);
  EXPECT_EQ(shown.pull.bytes, 500'000U);
  EXPECT_EQ(shown.length, 4'500'000U);
}

TEST_F(MirrorUnderWay, ABlobFromAPeer) {
  auto& peer = add_peer();
  const auto digest = peer.add(content);
  peer.behaviour.stall_at = 2'000'000;
  const auto shown = at_rest(digest, {}, 2'000'000);
  EXPECT_EQ(shown.pull.source, PullSource::peer);
  EXPECT_EQ(shown.pull.peers, "peer-1");
}

TEST_F(MirrorUnderWay, ABlobOfThisNodesStoreIsSentUnderTheSameEyes) {
  const auto digest = store.add(content);
  std::uint64_t bytes = 0;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    http::Request request{.method = "GET",
                          .target = "/v2/library/nginx/blobs/" + digest.to_string(),
                          .headers = {{"Host", about.host}}};
    (void)co_await connection.write_request(request);
    (void)co_await connection.finish_body();
    (void)co_await connection.read_response("GET");
    Bytes buffer(1'000'000);
    (void)co_await connection.read_body(buffer);
    bytes = under_way.oldest(9).at(0).pull.bytes;
    EXPECT_EQ(under_way.oldest(9).at(0).pull.source, PullSource::local);
  });
  EXPECT_GT(bytes, 0U);
}

TEST_F(MirrorUnderWay, OtherRequestsAreNotShown) {
  const auto digest = origin.add(content);
  origin.server.handler = [this, answer = origin.server.handler](
                              http::Connection& connection,
                              http::Request request) -> awaitable<bool> {
    EXPECT_TRUE(under_way.oldest(9).empty());
    co_return co_await answer(connection, std::move(request));
  };
  EXPECT_EQ(ask("HEAD", "/v2/library/nginx/blobs/" + digest.to_string()).status, 200U);
  ask("GET", "/v2/library/nginx/tags/list");
}

}  // namespace
}  // namespace hagring::registry
