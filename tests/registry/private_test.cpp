// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/registry/private_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

constexpr auto kGood = "Bearer good";
constexpr auto kOther = "Bearer other";
constexpr auto kRepository = "docker.io/acme/app";

/// acme/app is private, acme/public isn't, and other/app is private, too, with others' credentials.
struct AutoTest : PrivateTest {
  AutoTest() {
    repositories["acme/app"].credentials = {kGood};
    repositories["acme/public"].credentials = {"Bearer nobody", kGood};
    repositories["other/app"].credentials = {kOther};
    digest = publish("acme/app", kManifest, "1");
    path = manifest_path("acme/app", digest.to_string());
  }
  Digest digest = Digest::parse("sha256:" + std::string(64, '0')).value();
  std::string path;
};

TEST_F(AutoTest, ContentThatCameWithCredentialsIsMarkedBeforeItIsPassedOn) {
  hooks.seen = [&](std::string, std::string, const Digest& seen, std::uint64_t) {
    EXPECT_THAT(privacy.mark(seen), Optional(ElementsAre(kRepository)));
  };
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(privacy.audience(kRepository), Audience::some);
  EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kRepository)));
  // Once: the anonymous client's two tries.
  EXPECT_EQ(asked("HEAD"), 2);
  EXPECT_EQ(tokens.requests.size(), 1U);
  EXPECT_FALSE(tokens.requests.front().headers.contains("Authorization"));
  EXPECT_EQ(tokens.requests.front().target,
            "/token?service=registry.test&scope=repository%3Ax%3Apull");
  get(path, kGood);
  EXPECT_EQ(asked("HEAD"), 2);
}

TEST_F(AutoTest, WhatAnybodyIsGivenATokenForIsPublic) {
  const auto open = publish("acme/public", kManifest);
  EXPECT_EQ(get(manifest_path("acme/public", open.to_string()), kGood).status, 200U);
  EXPECT_EQ(privacy.audience("docker.io/acme/public"), Audience::everybody);
  EXPECT_EQ(privacy.mark(open), std::nullopt);
}

TEST_F(AutoTest, WhatAnAnonymousClientIsGivenIsPublic) {
  repositories["acme/app"].credentials = {""};
  EXPECT_EQ(get(path).status, 200U);
  EXPECT_EQ(privacy.audience(kRepository), Audience::everybody);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);
  EXPECT_EQ(asked("HEAD"), 0);
}

TEST_F(AutoTest, BasicAuthenticationIsForSome) {
  challenge = "Basic realm=\"r\"";
  get(path, kGood);
  EXPECT_EQ(privacy.audience(kRepository), Audience::some);
  EXPECT_TRUE(tokens.requests.empty());
}

TEST_F(AutoTest, TokenServiceThatRefusesAnybodyIsForSome) {
  token_status = 401;
  get(path, kGood);
  EXPECT_EQ(privacy.audience(kRepository), Audience::some);
}

TEST_F(AutoTest, TroubleLeavesItOpenAndTheContentMarked) {
  for (const auto* answer : {"", "{}", "[", R"({"token":1})", R"({"token":"a\nb"})"}) {
    token_answer = answer;
    EXPECT_EQ(get(path, kGood).status, 200U);
    EXPECT_EQ(privacy.audience(kRepository), Audience::unknown) << answer;
    EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kRepository)));
  }
  EXPECT_EQ(tokens.requests.size(), 1U);  // not again for a minute
}

TEST_F(AutoTest, TokenServiceWithoutTlsIsNotAsked) {
  challenge = R"(Bearer realm="http://auth.test/token")";
  get(path, kGood);
  EXPECT_EQ(privacy.audience(kRepository), Audience::unknown);
  EXPECT_TRUE(tokens.requests.empty());
}

TEST_F(AutoTest, ThisNodesMarkedContentNeedsTheOriginsYes) {
  get(path, kGood);
  store.add(kManifest);
  const auto before = asked("GET");
  const auto denied = get(path, "Bearer wrong");
  EXPECT_EQ(denied.status, 403U);
  EXPECT_EQ(denied.body, "the origin's own");
  EXPECT_EQ(get(path).status, 401U);
  EXPECT_EQ(get(path).header("WWW-Authenticate"), challenge);
  EXPECT_EQ(get(path, "Bearer wrong", "HEAD").status, 403U);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_GT(asked("GET"), before);
  // Let in a moment ago: not asked again.
  const auto heads = asked("HEAD");
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_EQ(asked("HEAD"), heads);
}

TEST_F(AutoTest, AnotherTokenOfTheSameClientCostsOneHead) {
  get(path, kGood);
  store.add(kManifest);
  repositories["acme/app"].credentials.insert("Bearer second");
  const auto heads = asked("HEAD");
  const auto gets = asked("GET");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(get(path, "Bearer second").body, kManifest);
    EXPECT_EQ(last_pull().source, PullSource::local);
  }
  EXPECT_EQ(asked("HEAD"), heads + 1);
  EXPECT_EQ(asked("GET"), gets);
}

TEST_F(AutoTest, TheMarkTravelsWithPeersContent) {
  give(add_peer(), kManifest, kRepository);
  const auto denied = get(path, "Bearer wrong");
  EXPECT_EQ(denied.status, 403U);
  EXPECT_EQ(denied.body, "the origin's own");
  EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kRepository)));
  EXPECT_EQ(get(path).status, 401U);
  const auto heads = asked("HEAD");
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_GT(asked("HEAD"), heads);
}

TEST_F(AutoTest, MarkedBlobsNeedItHoweverTheyAreAskedFor) {
  const auto small = test::noise(1000, 1);
  const auto large = test::noise(6'000'000, 2);
  for (const auto& content : {small, large}) {
    const auto blob = publish("acme/app", content);
    SCOPED_TRACE(content.size());
    privacy.add(blob, kRepository);
    store.add(content);
    for (const auto* method : {"GET", "HEAD"}) {
      EXPECT_EQ(get(blob_path("acme/app", blob), "Bearer wrong", method).status, 403U);
      EXPECT_EQ(get(blob_path("acme/app", blob), "", method).status, 401U);
      EXPECT_EQ(get(blob_path("acme/app", blob), kGood, method).status, 200U);
      EXPECT_EQ(last_pull().source, PullSource::local);
    }
    for (const auto* range : {"bytes=0-", "bytes=5-", "bytes=0-9", "bytes=-5"}) {
      const auto with = [&](const char* credentials) {
        return ask("GET", blob_path("acme/app", blob),
                   {{"Authorization", credentials}, {"Range", range}});
      };
      EXPECT_EQ(with("Bearer wrong").status, 403U) << range;
      EXPECT_EQ(with(kGood).status, 206U) << range;
      EXPECT_EQ(last_pull().source, PullSource::local);
    }
  }
}

TEST_F(AutoTest, MarkedBlobsOfPeersNeedItHoweverTheyAreAskedFor) {
  auto& peer = add_peer();
  for (const auto& content : {test::noise(1000, 1), test::noise(6'000'000, 2)}) {
    const auto blob = publish("acme/app", content);
    give(peer, content, kRepository);
    SCOPED_TRACE(content.size());
    for (const auto* method : {"GET", "HEAD"}) {
      privacy.clear(blob);
      EXPECT_EQ(get(blob_path("acme/app", blob), "Bearer wrong", method).status, 403U);
      privacy.clear(blob);
      EXPECT_EQ(get(blob_path("acme/app", blob), "", method).status, 401U);
      privacy.clear(blob);
      EXPECT_EQ(get(blob_path("acme/app", blob), kGood, method).status, 200U);
      EXPECT_EQ(last_pull().source, PullSource::peer);
    }
    privacy.clear(blob);
    const auto denied = ask("GET", blob_path("acme/app", blob),
                            {{"Authorization", "Bearer wrong"}, {"Range", "bytes=5-"}});
    EXPECT_EQ(denied.status, 403U);
  }
}

TEST_F(AutoTest, ARightToOneRepositoryIsNoneToAnothersContent) {
  get(path, kGood);
  store.add(kManifest);
  // Good for other/app, which doesn't have it.
  publish("other/app", "something", "1");
  EXPECT_EQ(get(manifest_path("other/app", "1"), kOther, "HEAD").status, 200U);
  const auto reply = get(manifest_path("other/app", digest.to_string()), kOther);
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.body, "the origin's own");
  // Nor under a public one's name.
  repositories["acme/public"].credentials = {""};
  publish("acme/public", "something", "1");
  EXPECT_EQ(get(manifest_path("acme/public", "1"), "", "HEAD").status, 200U);
  EXPECT_EQ(privacy.audience("docker.io/acme/public"), Audience::everybody);
  EXPECT_EQ(get(manifest_path("acme/public", digest.to_string())).status, 404U);
  EXPECT_TRUE(privacy.mark(digest));
}

TEST_F(AutoTest, ContentThatTwoRepositoriesHaveIsForTheReadersOfBoth) {
  get(path, kGood);
  store.add(kManifest);
  publish("other/app", kManifest);
  const auto other = manifest_path("other/app", digest.to_string());
  // It has to show that it has the content, not to say so.
  EXPECT_EQ(get(other, kOther).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(get(other, kOther).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_THAT(privacy.mark(digest), Optional(ElementsAre(kRepository, "docker.io/other/app")));
  EXPECT_EQ(get(other, kGood).status, 403U);
  EXPECT_EQ(get(path, kGood).body, kManifest);
}

TEST_F(AutoTest, ContentThatAPublicRepositoryHasIsForAnybody) {
  get(path, kGood);
  store.add(kManifest);
  publish("acme/public", kManifest);
  const auto open = manifest_path("acme/public", digest.to_string());
  EXPECT_EQ(get(open, "Bearer nobody").body, kManifest);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);
  go_down();
  EXPECT_EQ(get(path).body, kManifest);
}

TEST_F(AutoTest, ARedirectIsNoYes) {
  const auto blob = publish("acme/app", "the content of a blob");
  privacy.add(blob, kRepository);
  store.add("the content of a blob");
  // To a page that lets nobody in, with 200.
  origin.behaviour.status = 302;
  origin.behaviour.location = "https://auth.test/login";
  EXPECT_EQ(get(blob_path("acme/app", blob), kGood).body, token_answer);
  EXPECT_EQ(get(path).body, token_answer);
  EXPECT_EQ(get(path, kGood).body, token_answer);
  EXPECT_EQ(get(path, kGood, "HEAD").status, 302U);
  EXPECT_FALSE(grants.allowed(kGood, kRepository, 1h));
  EXPECT_EQ(privacy.audience(kRepository), Audience::unknown);
  EXPECT_TRUE(privacy.mark(digest));
  // Where it has led to the very manifest, that was one.
  token_answer = kManifest;
  EXPECT_EQ(get(path).body, kManifest);
  EXPECT_EQ(privacy.audience(kRepository), Audience::everybody);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);
}

TEST_F(AutoTest, ARedirectUnderAnotherNameFreesNothing) {
  const auto blob = publish("acme/app", "the content of a blob");
  repositories["acme/public"].credentials = {""};
  publish("acme/public", kManifest, "1");
  origin.behaviour.status = 302;
  origin.behaviour.location = "https://auth.test/login";
  EXPECT_EQ(get(blob_path("acme/public", blob), "", "HEAD").status, 302U);
  privacy.add(blob, kRepository);
  EXPECT_EQ(get(blob_path("acme/public", blob), "", "HEAD").status, 302U);
  origin.behaviour.status.reset();
  get(manifest_path("acme/public", "1"));
  EXPECT_EQ(privacy.audience("docker.io/acme/public"), Audience::everybody);
  EXPECT_THAT(privacy.mark(blob), Optional(ElementsAre(kRepository)));
}

TEST_F(AutoTest, UnmarkedContentIsForAnybody) {
  store.add(kManifest);
  EXPECT_EQ(get(path).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(AutoTest, ATokenThatTheOriginHasRevokedIsGoodNoLonger) {
  get(path, kGood);
  store.add(kManifest);
  repositories["acme/app"].credentials.clear();
  EXPECT_EQ(get(path, kGood).body, kManifest);  // let in a moment ago
  // It learns of it by whatever the origin refuses.
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood, "HEAD").status, 403U);
  EXPECT_EQ(get(path, kGood).status, 403U);
}

TEST_F(AutoTest, AYesIsGoodForAWhile) {
  options.grant = 0s;
  get(path, kGood);
  store.add(kManifest);
  const auto heads = asked("HEAD");
  get(path, kGood);
  get(path, kGood);
  EXPECT_EQ(asked("HEAD"), heads + 2);
}

TEST_F(AutoTest, WithTheOriginDownPrivateContentIsWithheld) {
  options.grant = 0s;
  get(path, kGood);
  store.add(kManifest);
  give(add_peer(), kManifest, kRepository);
  go_down();
  EXPECT_EQ(get(path, kGood).status, 503U);
  EXPECT_EQ(get(path, kGood, "HEAD").status, 503U);
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood, "HEAD").status, 503U);
}

TEST_F(AutoTest, WithTheOriginGoneItSaysWhyPrivateContentIsWithheld) {
  privacy.add(digest, kRepository);
  store.add(kManifest);
  origin.server.close();
  const auto reply = get(path, kGood);
  EXPECT_EQ(reply.status, 502U);
  EXPECT_THAT(reply.body, HasSubstr("the content is private (docker.io/acme/app)"));
  store.tag("docker.io/acme/app:1", digest, "");
  const auto by_tag = get(manifest_path("acme/app", "1"), kGood);
  EXPECT_EQ(by_tag.status, 502U);
  EXPECT_THAT(by_tag.body, HasSubstr("the content is private (docker.io/acme/app)"));
}

TEST_F(AutoTest, OfflineCredentialsAreThoseThatWereGood) {
  options.grant = 0s;
  options.offline_credentials = 1h;
  EXPECT_EQ(get(path).status, 401U);  // as a client asks first
  get(path, kGood);
  store.add(kManifest);
  store.tag("docker.io/acme/app:1", digest, "");
  go_down();
  for (const auto& what : {path, manifest_path("acme/app", "1")}) {
    SCOPED_TRACE(what);
    EXPECT_EQ(get(what, kGood).body, kManifest);
    EXPECT_EQ(last_pull().source, PullSource::local);
    EXPECT_EQ(get(what, "Bearer wrong").status, 503U);
    // A client sends credentials only when it is asked for them.
    const auto unasked = get(what);
    EXPECT_EQ(unasked.status, 401U);
    EXPECT_EQ(unasked.header("WWW-Authenticate"), challenge);
  }
}

TEST_F(AutoTest, CredentialsThatWereRefusedAreNotGoodOffline) {
  options.offline_credentials = 1h;
  get(path, kGood);
  store.add(kManifest);
  repositories["acme/app"].credentials.clear();
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood, "HEAD").status, 403U);
  go_down();
  EXPECT_EQ(get(path, kGood).status, 503U);
}

TEST_F(AutoTest, BytesOfTheOriginAfterAPeerThatDiedAreMarkedToo) {
  const auto content = test::noise(6'000'000);
  const auto blob = publish("acme/app", content);
  auto& peer = add_peer();
  peer.add(content);
  peer.behaviour.cut_at = 1'000'000;
  EXPECT_TRUE(get(blob_path("acme/app", blob), kGood).body == content);
  EXPECT_THAT(privacy.mark(blob), Optional(ElementsAre(kRepository)));
}

struct RulesTest : AutoTest {};

TEST_F(RulesTest, StrictNeedsTheOriginsYesForAllContent) {
  policy.add_rule("docker.io/acme/** authorize=strict");
  store.add(kManifest);
  EXPECT_EQ(get(path).status, 401U);
  EXPECT_EQ(get(path, "Bearer wrong").status, 403U);
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
  const auto heads = asked("HEAD");
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(asked("HEAD"), heads);
  // A right to the repository is none to what it doesn't have.
  const auto foreign = store.add("something else");
  EXPECT_EQ(get(blob_path("acme/app", foreign), kGood).status, 404U);
  go_down();
  EXPECT_EQ(get(blob_path("acme/app", foreign), kGood).status, 503U);
}

TEST_F(RulesTest, StrictTakesNoTagFromOthersWhenTheOriginRefuses) {
  policy.add_rule("** authorize=strict");
  store.tag("docker.io/acme/app:2", store.add(kManifest), "");
  EXPECT_EQ(get(manifest_path("acme/app", "2"), kGood).status, 404U);
}

TEST_F(RulesTest, OpenGivesAnybodyWhatIsHere) {
  policy.add_rule("docker.io/acme/** authorize=open");
  get(path, kGood);
  EXPECT_EQ(privacy.mark(digest), std::nullopt);
  EXPECT_TRUE(tokens.requests.empty());
  store.add(kManifest);
  store.tag("docker.io/acme/app:1", digest, "");
  EXPECT_EQ(get(path).body, kManifest);
  // With credentials that the origin refuses, and with none that it asks for.
  EXPECT_EQ(get(manifest_path("acme/app", "1"), "Bearer wrong").body, kManifest);
  EXPECT_EQ(get(manifest_path("acme/app", "1")).status, 401U);
}

TEST_F(RulesTest, OpenIsNoWayToWhatIsPrivateElsewhere) {
  policy.add_rule("docker.io/library/** authorize=open");
  privacy.add(digest, kRepository);
  store.add(kManifest);
  EXPECT_EQ(get(manifest_path("library/x", digest.to_string())).status, 401U);
  // As a peer's mark of what a rule opens is none.
  privacy.add(digest, "docker.io/library/x");
  EXPECT_EQ(get(manifest_path("library/x", digest.to_string())).body, kManifest);
}

TEST_F(RulesTest, PeersOnlyNeverAsksTheOrigin) {
  policy.add_rule("docker.io/acme/** tags=peers-only");
  const auto missing = get(path, kGood);
  EXPECT_EQ(missing.status, 404U);
  EXPECT_THAT(missing.body, HasSubstr("MANIFEST_UNKNOWN"));
  EXPECT_THAT(get(manifest_path("acme/app", "1"), kGood).body, HasSubstr("MANIFEST_UNKNOWN"));
  EXPECT_THAT(get(blob_path("acme/app", digest), kGood).body, HasSubstr("BLOB_UNKNOWN"));
  EXPECT_EQ(get(blob_path("acme/app", digest), kGood).status, 404U);
  store.add(kManifest);
  store.tag("docker.io/acme/app:1", digest, "");
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood).body, kManifest);
  privacy.add(digest, kRepository);
  const auto withheld = get(path, kGood);
  EXPECT_EQ(withheld.status, 403U);
  EXPECT_THAT(withheld.body, HasSubstr("authorize=open"));
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood).status, 403U);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(RulesTest, PeersOnlyDoesNotGoOnAtTheOrigin) {
  policy.add_rule("docker.io/acme/** tags=peers-only");
  const auto content = test::noise(6'000'000);
  const auto blob = publish("acme/app", content);
  auto& peer = add_peer();
  peer.add(content);
  peer.behaviour.cut_at = 1'000'000;
  EXPECT_TRUE(get(blob_path("acme/app", blob), kGood).error);
  EXPECT_EQ(ask("GET", blob_path("acme/app", digest), {{"Range", "bytes=5-9"}}).status, 404U);
  EXPECT_TRUE(origin.server.requests.empty());
}

TEST_F(RulesTest, PeersFirstAsksTheOriginWhenNobodyKnows) {
  policy.add_rule("docker.io/acme/** tags=peers-first");
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood).body, kManifest);
  EXPECT_EQ(get(manifest_path("acme/app", "1"), kGood, "HEAD").status, 200U);
  EXPECT_EQ(get(manifest_path("acme/app", "1")).status, 401U);
  const auto before = origin.server.requests.size();
  auto& contents = repositories["acme/app"].contents;
  contents.insert("2");
  const auto newer = store.add(kManifest + " ");
  store.tag("docker.io/acme/app:1", newer, "");
  EXPECT_EQ(get(manifest_path("acme/app", "1")).body, kManifest + " ");
  EXPECT_EQ(origin.server.requests.size(), before);
}

TEST_F(RulesTest, WhatIsExcludedGoesToTheOriginUntouched) {
  policy.add_rule("docker.io/acme/app mirror=no");
  store.add(kManifest);
  store.tag("docker.io/acme/app:1", digest, "");
  add_peer().add(kManifest);
  EXPECT_EQ(get(path).status, 401U);
  EXPECT_EQ(get(manifest_path("acme/app", "1")).status, 401U);
  EXPECT_EQ(get(path, kGood).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::passthrough);
  EXPECT_TRUE(peers.front().server.requests.empty());
  EXPECT_TRUE(tokens.requests.empty());
  // Not to be had under another name either.
  EXPECT_EQ(get(manifest_path("acme/public", digest.to_string()), "Bearer nobody").status, 404U);
}

}  // namespace
}  // namespace hagring::registry
