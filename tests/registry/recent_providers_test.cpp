// SPDX-License-Identifier: Apache-2.0
#include "registry/recent_providers.hpp"

#include "tests/registry/mirror_fixture.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

Peer peer_called(std::string name) { return {.name = std::move(name), .address = {}}; }

Digest numbered_digest(int number) { return *Digest::parse(fmt::format("sha256:{:064x}", number)); }

struct RecentProvidersTest : testing::Test {
  test::ManualClock clock;
  RecentProviders recent{clock, {.keep = 1min, .capacity = 3}};
  const Digest digest = numbered_digest(0);
};

TEST_F(RecentProvidersTest, AreForgottenAfterAWhile) {
  EXPECT_FALSE(recent.of(digest));
  recent.sends(digest, peer_called("a"));
  clock.advance(59s);
  ASSERT_TRUE(recent.of(digest));
  EXPECT_EQ(recent.of(digest)->name, "a");
  clock.advance(1s);
  EXPECT_FALSE(recent.of(digest));
  EXPECT_EQ(recent.size(), 0U);
}

TEST_F(RecentProvidersTest, AreForgottenWhenTheyFail) {
  recent.sends(digest, peer_called("a"));
  recent.fails(digest, "somebody else");
  EXPECT_TRUE(recent.of(digest));
  recent.fails(digest, "a");
  EXPECT_FALSE(recent.of(digest));
}

TEST_F(RecentProvidersTest, AreBounded) {
  for (int i = 0; i < 100; ++i) recent.sends(numbered_digest(i), peer_called("a"));
  EXPECT_EQ(recent.size(), 3U);
  EXPECT_TRUE(recent.of(numbered_digest(99)));
  EXPECT_FALSE(recent.of(numbered_digest(0)));
}

/// Two peers, of which the one that the router names first hasn't got the blob.
struct RecallTest : MirrorTest {
  RecallTest() {
    for (int i = 0; i < 2; ++i) add_peer().add(content);
    const bool in_order = std::hash<std::string>()(digest.to_string()) % 2 == 0;
    without = in_order ? &peers.front() : &peers.back();
    with = in_order ? &peers.back() : &peers.front();
    without->contents.clear();
  }
  std::string key_of(const test::FakeRegistry* peer) const {
    return peer_list.at(peer == &peers.front() ? 0 : 1).key();
  }

  const std::string content = test::noise(100'000);
  const Digest digest = origin.add(content);
  test::FakeRegistry* without = nullptr;
  test::FakeRegistry* with = nullptr;
};

TEST_F(RecallTest, WhoSentItLastIsAskedFirst) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(without->server.requests.size(), 1U);
  EXPECT_EQ(with->server.requests.size(), 3U);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(RecallTest, WhoHasLostItIsAskedOnceMore) {
  EXPECT_TRUE(get_blob(digest).body == content);
  without->contents.swap(with->contents);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(without->server.requests.size(), 2U);
  EXPECT_EQ(with->server.requests.size(), 2U) << "the router's naming it again is not heard";
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(with->server.requests.size(), 2U);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(RecallTest, WhoIsBannedIsNotAsked) {
  EXPECT_TRUE(get_blob(digest).body == content);
  conduct.wrong_digest(numbered_digest(1), {key_of(with)}, true);
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(with->server.requests.size(), 1U);
}

TEST_F(RecallTest, WhoBreaksOffIsNotTheFirstNextTime) {
  with->behaviour.cut_at = 40'000;
  EXPECT_TRUE(get_blob(digest).body == content);
  const auto asked = without->server.requests.size();
  EXPECT_TRUE(get_blob(digest).body == content);
  EXPECT_EQ(without->server.requests.size(), asked + 1);
}

}  // namespace
}  // namespace hagring::registry
