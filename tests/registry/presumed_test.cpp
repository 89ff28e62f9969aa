// SPDX-License-Identifier: Apache-2.0
// Content without a mark, which the runtime says that it has fetched from a repository.
#include <gmock/gmock.h>

#include "tests/registry/private_fixture.hpp"

namespace hagring::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

constexpr auto kGood = "Bearer good";
constexpr auto kWrong = "Bearer wrong";
constexpr auto kPrivate = "docker.io/acme/app";
constexpr auto kPublic = "docker.io/acme/public";

/// acme/app is private, acme/public isn't; this node has had a manifest before it had an agent.
struct PresumedTest : PrivateTest {
  PresumedTest() {
    repositories["acme/app"].credentials = {kGood};
    repositories["acme/public"].credentials = {"Bearer nobody", kGood};
    publish("acme/app", kManifest, "1");
    publish("acme/public", kManifest, "1");
  }
  /// Has `repository` asked for the manifest, which this node has from `from`.
  Reply held(const std::string& from, const std::string& repository,
             const std::string& credentials = "") {
    came_from("docker.io", from);
    return get(manifest_path(repository, digest.to_string()), credentials);
  }
  void came_from(const std::string& registry, const std::string& repository) {
    store.came_from(digest, registry, repository);
  }
  std::string path(const std::string& repository) {
    return manifest_path(repository, digest.to_string());
  }
  /// What the origin answers who may read acme/public to a question for its tags.
  void list_tags(const std::string& document) {
    const auto serve = origin.server.handler;
    origin.server.handler = [serve, document](http::Connection& connection,
                                              http::Request request) -> awaitable<bool> {
      const bool list = request.target == "/v2/acme/public/tags/list?n=1";
      if (!list) co_return co_await serve(connection, std::move(request));
      const http::Response response{.status = 200};
      co_return (co_await connection.write_response_with(response, document)).has_value();
    };
  }
  void disconnect() { dialer.refusal = asio::error::connection_refused; }

  const Digest digest = store.add(kManifest);
};

TEST_F(PresumedTest, WhatIsPrivateIsKeptAndThenMarked) {
  const auto denied = held("acme/app", "acme/app", kWrong);
  EXPECT_EQ(denied.status, 403U);
  EXPECT_EQ(denied.body, "the origin's own");
  EXPECT_EQ(privacy.audience(kPrivate), Audience::some);
  EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kPrivate)));
  EXPECT_EQ(privacy.field_of(digest), kPrivate);
  EXPECT_EQ(get(path("acme/app")).status, 401U);
  const auto gets = asked("GET");
  EXPECT_EQ(get(path("acme/app"), kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_EQ(asked("GET"), gets);
}

TEST_F(PresumedTest, WhatIsPublicIsFreeAfterOneInquiry) {
  EXPECT_EQ(held("acme/public", "acme/public", kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_EQ(asked("HEAD"), 2);  // the challenge, and with a token
  EXPECT_EQ(origin.server.requests.front().headers.get("Authorization"), std::nullopt);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(path("acme/app"), kWrong).body, kManifest);
  EXPECT_EQ(asked("HEAD"), 2);
  EXPECT_EQ(asked("GET"), 0);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);
}

TEST_F(PresumedTest, WhatHasNoSourceIsFree) {
  EXPECT_EQ(get(path("acme/app"), kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(PresumedTest, SourcesThatCannotBeToldAreNotFree) {
  store.lose_sources(Errc::unavailable);
  EXPECT_EQ(get(path("acme/app"), kWrong).status, 403U);
  // Nor does it count that some registry says yes.
  EXPECT_EQ(get(path("acme/app"), kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);
}

TEST_F(PresumedTest, ATagThatTheOriginRefusesIsAnsweredWithWhatIsPublicOnly) {
  store.tag("docker.io/acme/app:1", digest, "");
  came_from("docker.io", "acme/app");
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kWrong).status, 403U);
  store.tag("docker.io/made/here:1", digest, "");
  EXPECT_EQ(get(manifest_path("made/here", "1"), kWrong).status, 403U);
  came_from("docker.io", "acme/public");
  privacy.clear(digest);
  EXPECT_EQ(get(manifest_path("made/here", "1"), kWrong).body, kManifest);
}

TEST_F(PresumedTest, ARegistrySpeaksForItsOwnContentOnly) {
  // As if somebody had had this node pull the same content from a registry of theirs.
  policy.add("evil.test");
  came_from("evil.test", "x");
  came_from("docker.io", "acme/app");
  privacy.learn("evil.test/x", Audience::everybody);
  EXPECT_EQ(get(path("acme/app"), kWrong).status, 403U);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);  // evil.test/x isn't private
  EXPECT_EQ(get(path("acme/app"), kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_FALSE(privacy.vouches("evil.test/x", digest));
}

TEST_F(PresumedTest, AnotherRegistrysYesIsNone) {
  policy.add("other.test");
  came_from("other.test", "acme/app");
  privacy.learn("other.test/acme/app", Audience::some);
  privacy.clear(digest);
  const auto answer = get(path("acme/app"), kGood);
  EXPECT_EQ(answer.body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);  // it has sent the bytes itself
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood).body, kManifest);
}

TEST_F(PresumedTest, OneNameForEverybodyIsEnoughWithinARegistry) {
  came_from("docker.io", "acme/app");
  privacy.learn(kPublic, Audience::everybody);
  came_from("docker.io", "acme/public");
  EXPECT_EQ(get(path("acme/app"), kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
}

TEST_F(PresumedTest, WhatMayBePrivateIsGivenWhileItsRegistryCannotBeAsked) {
  disconnect();
  EXPECT_EQ(held("acme/app", "acme/app", kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_THAT(last_pull().note, HasSubstr("can't be asked"));
  // Asked for under another name it is the content's own registry that is asked.
  EXPECT_EQ(get(path("made/here")).body, kManifest);
  dialer.refusal = {};
  EXPECT_EQ(privacy.knowledge(kPrivate).inquiry, Knowledge::Inquiry::unreachable);
}

TEST_F(PresumedTest, FiveHundredsAreNoAnswerEither) {
  go_down();
  EXPECT_EQ(held("acme/app", "acme/app", kWrong).body, kManifest);
}

TEST_F(PresumedTest, WhatTheRegistryHasKeptStaysSoWithoutIt) {
  EXPECT_EQ(held("acme/app", "acme/app", kWrong).status, 403U);
  disconnect();
  EXPECT_NE(get(path("acme/app"), kWrong).body, kManifest);
  EXPECT_NE(get(path("made/here")).body, kManifest);
}

TEST_F(PresumedTest, AfterANoToAClientItIsNotGivenWhileTheRegistryCannotBeAsked) {
  privacy.note_refusal(kPrivate);
  disconnect();
  EXPECT_NE(held("acme/app", "acme/app", kWrong).body, kManifest);
}

TEST_F(PresumedTest, ALimitedRateFreesNothing) {
  origin.behaviour.status = 429;
  EXPECT_EQ(held("acme/app", "acme/app", kWrong).status, 429U);
  EXPECT_EQ(privacy.knowledge(kPrivate).inquiry, Knowledge::Inquiry::in_vain);
}

TEST_F(PresumedTest, ATokenServiceInTroubleFreesNothing) {
  token_status = 503;
  EXPECT_EQ(held("acme/app", "acme/app", kWrong).status, 403U);
  EXPECT_EQ(privacy.audience(kPrivate), Audience::unknown);
}

TEST_F(PresumedTest, WhatWasPublicIsFreeWhileItIsAskedAnew) {
  Privacy::Options brief;
  brief.everybody = std::chrono::seconds(0);
  Privacy before(clock, brief);
  before.learn(kPublic, Audience::everybody);
  ASSERT_TRUE(privacy.restore(before.take_changed().value()));
  EXPECT_FALSE(privacy.knowledge(kPublic).believed);
  origin.behaviour.status = 429;
  EXPECT_EQ(held("acme/public", "acme/public", kWrong).body, kManifest);
  EXPECT_EQ(asked("HEAD"), 1);
}

TEST_F(PresumedTest, RulesDecideToo) {
  policy.add_rule("docker.io/acme/app authorize=open");
  EXPECT_EQ(held("acme/app", "made/here").body, kManifest);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(PresumedTest, WhatIsKeptFromTheMirrorIsNotAskedAbout) {
  policy.add_rule("docker.io/acme/app mirror=no");
  came_from("docker.io", "acme/app");
  disconnect();
  EXPECT_NE(get(path("made/here")).body, kManifest);
  EXPECT_EQ(privacy.knowledge(kPrivate).inquiry, Knowledge::Inquiry::none);
}

TEST_F(PresumedTest, RegistriesThatAreNotMirroredAreNotAsked) {
  came_from("unheard.test", "x");
  EXPECT_NE(get(path("made/here"), kWrong).body, kManifest);
  EXPECT_EQ(privacy.knowledge("unheard.test/x").inquiry, Knowledge::Inquiry::none);
}

TEST_F(PresumedTest, NamesThatAreNoneAreNotFreeAndGoNowhere) {
  for (const auto* name : {"UPPER", "a\r\nb", "x:1", "../etc"}) came_from("docker.io", name);
  came_from("[fd00::5]", "acme/app");
  EXPECT_NE(get(path("made/here"), kWrong).body, kManifest);
  EXPECT_THAT(privacy.presumed(digest), testing::Contains("[fd00::5]/acme/app"));
  EXPECT_THAT(privacy.presumed(digest), testing::Contains(kUnknownSource));
  EXPECT_THAT(privacy.presumed(digest), testing::Not(testing::Contains(HasSubstr("UPPER"))));
}

TEST_F(PresumedTest, ABlobThatIsRedirectedIsAskedAboutByItsTags) {
  const auto blob = store.add("a layer");
  origin.add("a layer");
  store.came_from(blob, "docker.io", "acme/public");
  repositories["acme/public"].credentials = {""};
  repositories["acme/public"].contents.insert({blob.to_string(), "list?n=1"});
  list_tags(R"({"name":"acme/public","tags":["1"]})");
  origin.turns = {{.status = 307, .location = "https://blobs.test/x"}};
  EXPECT_EQ(get(blob_path("acme/public", blob), kWrong).body, "a layer");
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_EQ(origin.server.count("HEAD", "/blobs/"), 1);
  EXPECT_EQ(origin.server.count("GET", "/tags/list?n=1"), 1);
  EXPECT_EQ(privacy.audience(kPublic), Audience::everybody);
}

TEST_F(PresumedTest, ARedirectedBlobWithoutTagsTellsNothing) {
  const auto blob = store.add("a layer");
  origin.add("a layer");
  store.came_from(blob, "docker.io", "acme/public");
  repositories["acme/public"].credentials = {""};
  repositories["acme/public"].contents.insert({blob.to_string(), "list?n=1"});
  list_tags(R"({"name":"acme/public","tags":null})");
  origin.turns = {{.status = 307, .location = "https://blobs.test/x"}};
  get(blob_path("acme/public", blob), kWrong);
  EXPECT_EQ(origin.server.count("GET", "/tags/list?n=1"), 1);
  EXPECT_EQ(privacy.audience(kPublic), Audience::unknown);
  EXPECT_EQ(privacy.knowledge(kPublic).inquiry, Knowledge::Inquiry::in_vain);
}

TEST_F(PresumedTest, WhatHasBeenDeletedIsPublicIfItsRepositoryIs) {
  repositories["acme/public"].contents.erase(digest.to_string());
  repositories["acme/public"].contents.insert("list?n=1");
  list_tags(R"({"name":"acme/public","tags":["2"]})");
  EXPECT_EQ(held("acme/public", "made/here").body, kManifest);
  repositories["acme/app"].contents.erase(digest.to_string());
  const auto other = store.add(kManifest + " ");
  store.came_from(other, "docker.io", "acme/app");
  // 401 is what acme/app says to anybody.
  EXPECT_NE(get(manifest_path("made/here", other.to_string())).status, 200U);
  EXPECT_EQ(privacy.audience(kPrivate), Audience::some);
  // Where nothing is shown it may be hidden, or never have been there: not free, and not marked.
  const auto third = store.add(kManifest + "  ");
  store.came_from(third, "docker.io", "made/here");
  repositories["made/here"].credentials = {""};
  EXPECT_NE(get(manifest_path("made/here", third.to_string())).status, 200U);
  EXPECT_EQ(privacy.mark(third), std::nullopt);
  EXPECT_TRUE(privacy.knowledge("docker.io/made/here").refused);
}

/// The same content at a peer, which says where it is from.
struct PresumedAtPeerTest : PrivateTest {
  PresumedAtPeerTest() {
    repositories["acme/app"].credentials = {kGood};
    repositories["acme/public"].credentials = {"Bearer nobody", kGood};
    publish("acme/app", kManifest, "1");
    publish("acme/public", kManifest, "1");
    give_from(kPrivate);
  }
  void give_from(const std::string& names) {
    auto& peer = peers.empty() ? add_peer() : peers.front();
    give(peer, kManifest, "");
    peer.behaviour.headers = {{std::string(kPresumedField), names}};
  }
  std::string path(const std::string& repository) {
    return manifest_path(repository, digest.to_string());
  }
  const Digest digest = origin.add(kManifest);
};

TEST_F(PresumedAtPeerTest, WhatIsPrivateIsKept) {
  EXPECT_EQ(get(path("acme/app"), kWrong).status, 403U);
  EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kPrivate)));
  const auto gets = asked("GET");
  EXPECT_EQ(get(path("acme/app"), kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_EQ(asked("GET"), gets);
}

TEST_F(PresumedAtPeerTest, WhatIsPublicIsFree) {
  give_from(kPublic);
  EXPECT_EQ(get(path("acme/public"), kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_EQ(asked("GET"), 0);
}

TEST_F(PresumedAtPeerTest, ItIsGivenWhileTheRegistryCannotBeAsked) {
  dialer.names.erase("registry-1.docker.io");
  dialer.names["registry-1.docker.io"] = {asio::ip::address_v4::loopback(), 1};
  EXPECT_EQ(get(path("acme/app"), kWrong).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
}

TEST_F(PresumedAtPeerTest, WhatAPeerSaysIsFreeStaysSoUnderAnyName) {
  give_from(std::string(kNoSource));
  EXPECT_EQ(get(path("made/here")).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  // The runtime labels it with the name that it was asked for under, which the origin never had.
  store.add(kManifest);
  store.came_from(digest, "docker.io", "made/here");
  EXPECT_EQ(get(path("made/here")).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_TRUE(origin.server.requests.empty());
  // But a mark is a mark.
  privacy.add(digest, kPrivate);
  EXPECT_NE(get(path("made/here")).body, kManifest);
}

TEST_F(PresumedAtPeerTest, WhatIsFoundToBePublicStaysFreeUnderAnyName) {
  give_from(kPublic);
  EXPECT_EQ(get(path("made/here")).body, kManifest);
  store.add(kManifest);
  store.came_from(digest, "docker.io", "made/here");
  EXPECT_EQ(get(path("made/here")).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
}

TEST_F(PresumedAtPeerTest, ATagOfSomebodysOwnRegistryFreesNothing) {
  // docker.io stands for it here: it says that the tag is what other.test keeps.
  policy.add("other.test");
  privacy.learn("other.test/acme/app", Audience::some);
  give_from("other.test/acme/app");
  EXPECT_EQ(get(manifest_path("acme/public", "1"), kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);
}

}  // namespace
}  // namespace hagring::registry
