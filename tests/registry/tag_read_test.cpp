// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;

const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
    R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,)"
    R"("digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},)"
    R"("layers":[]})";
constexpr auto kType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr auto kTarget = "/v2/library/nginx/manifests/1.25";
constexpr auto kTag = "library/nginx/manifests/1.25";

TEST_F(MirrorTest, HeadByTagIsTheOriginsAnswer) {
  origin.media_type = kType;
  const auto digest = origin.add(kManifest);
  origin.tag(kTag, digest);
  add_peer();
  const auto reply = ask("HEAD", kTarget, {{"Authorization", "Bearer secret"}});
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.header("Docker-Content-Digest"), digest.to_string());
  EXPECT_EQ(reply.header("Content-Type"), kType);
  EXPECT_EQ(reply.length.bytes, kManifest.size());
  EXPECT_EQ(origin.server.requests.front().headers.get("Authorization"), "Bearer secret");
  EXPECT_TRUE(peers.front().server.requests.empty());
}

TEST_F(MirrorTest, GetByTagIsServedByThePeerThatHasTheDigest) {
  const auto digest = origin.add(kManifest);
  origin.tag(kTag, digest);
  add_peer().add(kManifest);
  const auto reply = ask("GET", kTarget);
  EXPECT_EQ(reply.body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_EQ(origin.server.count("GET", ""), 0);
  EXPECT_EQ(origin.server.count("HEAD", kTarget), 1);
}

TEST_F(MirrorTest, OriginsChallengeIsForAClientWithoutCredentials) {
  auto& peer = add_peer();
  peer.tag(kTag, peer.add(kManifest));
  origin.behaviour.status = 401;
  origin.behaviour.headers = {{"WWW-Authenticate", "Bearer realm=\"r\""}};
  const auto reply = ask("HEAD", kTarget);
  EXPECT_EQ(reply.status, 401U);
  EXPECT_EQ(reply.header("WWW-Authenticate"), "Bearer realm=\"r\"");
  EXPECT_EQ(ask("GET", kTarget).body, "refused");
  EXPECT_TRUE(peer.server.requests.empty());
}

/// The origin wants a token of a service that was not met before.
struct UnknownTokenService : MirrorTest {
  UnknownTokenService() {
    store.tag("docker.io/library/nginx:1.25", store.add(kManifest), kType);
    origin.behaviour.status = 401;
    origin.behaviour.headers = {
        {"WWW-Authenticate", R"(Bearer realm="https://auth.test/token?a=b",)"
                             R"(service="registry.test",scope="repository:library/nginx:pull")"}};
    breaker.on_probe([this](const OriginServer& server) {
      asked = server.to_string() + breaker.probe_target(server);
      breaker.probed(server, finding, "");
    });
  }
  ProbeFinding finding = ProbeFinding::answered;
  std::string asked;
};

TEST_F(UnknownTokenService, IsAskedAsTheClientWouldAsk) {
  EXPECT_EQ(ask("HEAD", kTarget).status, 401U);
  EXPECT_EQ(asked,
            "auth.test:443/token?a=b&service=registry.test&scope=repository%3Alibrary%2Fnginx%3A"
            "pull");
}

TEST_F(UnknownTokenService, ThatOnlySaysNothingIsLeftToTheClient) {
  finding = ProbeFinding::mute;
  EXPECT_EQ(ask("HEAD", kTarget).status, 401U);
}

TEST_F(UnknownTokenService, ThatIsDownIsNoReasonToLoseThePull) {
  finding = ProbeFinding::troubled;
  EXPECT_EQ(ask("HEAD", kTarget).status, 200U);
  EXPECT_EQ(last_pull().source, PullSource::local);
}

/// The origin says no to a client with credentials.
struct OriginsNo : MirrorTest, testing::WithParamInterface<unsigned> {
  OriginsNo() { origin.behaviour.status = GetParam(); }
  Reply get() { return ask("GET", kTarget, {{"Authorization", "Bearer mine"}}); }
};

TEST_P(OriginsNo, LeavesContentThatIsNotPrivateToPeers) {
  auto& peer = add_peer();
  peer.tag(kTag, peer.add(kManifest));
  EXPECT_EQ(get().body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::peer);
}

TEST_P(OriginsNo, IsFinalForContentThatAPeerKnowsAsPrivate) {
  auto& peer = add_peer();
  peer.tag(kTag, peer.add(kManifest));
  peer.behaviour.headers = {{std::string(kPrivateField), "docker.io/library/nginx"}};
  const auto reply = get();
  EXPECT_EQ(reply.status, GetParam());
  EXPECT_EQ(reply.body, "refused");
}

TEST_P(OriginsNo, IsFinalForContentThatThisNodeKnowsAsPrivate) {
  const auto digest = store.add(kManifest);
  store.tag("docker.io/library/nginx:1.25", digest, kType);
  privacy.add(digest, "docker.io/library/nginx");
  EXPECT_EQ(get().body, "refused");
  EXPECT_EQ(ask("HEAD", kTarget, {{"Authorization", "Bearer mine"}}).status, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Mirror, OriginsNo, testing::Values(401U, 403U, 404U));

/// The origin answers, but not at once.
struct SlowOrigin : MirrorTest {
  SlowOrigin() {
    options.origin_patience = 30ms;
    digest = origin.add(kManifest);
    origin.tag(kTag, digest);
    origin.server.handler = [this, answer = origin.server.handler](
                                http::Connection& connection,
                                http::Request request) -> awaitable<bool> {
      co_await clock.sleep_for(delay);
      co_return co_await answer(connection, std::move(request));
    };
  }
  Duration delay = 1h;
  const std::string older = kManifest + "\n";
  Digest digest = Digest::parse("sha256:" + std::string(64, '0')).value();
};

TEST_F(SlowOrigin, IsNotWaitedForWhenAPeerKnowsTheTag) {
  auto& peer = add_peer();
  peer.tag(kTag, peer.add(older));
  EXPECT_EQ(ask("GET", kTarget).body, older);
  EXPECT_EQ(last_pull().source, PullSource::peer);
  EXPECT_EQ(last_pull().note, "the origin is slow");
}

TEST_F(SlowOrigin, IsNotWaitedForWhenThisNodeKnowsTheTag) {
  store.tag("docker.io/library/nginx:1.25", store.add(older), kType);
  EXPECT_EQ(ask("HEAD", kTarget).status, 200U);
  EXPECT_EQ(last_pull().source, PullSource::local);
}

TEST_F(SlowOrigin, IsWaitedForWhenNobodyElseKnows) {
  delay = 300ms;
  add_peer();
  EXPECT_EQ(ask("GET", kTarget).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::origin);
  EXPECT_EQ(last_pull().note, "");
}

TEST_F(SlowOrigin, IsWaitedForWhenWhatOthersKnowIsPrivate) {
  delay = 300ms;
  auto& peer = add_peer();
  peer.tag(kTag, peer.add(older));
  peer.behaviour.headers = {{std::string(kPrivateField), "docker.io/library/nginx"}};
  EXPECT_EQ(ask("GET", kTarget).body, kManifest);
}

TEST_F(MirrorTest, WhatTwoPeersSayOfATagGoesBeforeWhatOneDoes) {
  origin.server.close();
  const auto older = kManifest + "\n";
  for (int i = 0; i < 4; ++i) {
    auto& peer = add_peer();
    const auto digest = peer.add(i == 1 ? older : kManifest);
    if (i != 0) peer.tag(kTag, digest);
  }
  for (std::size_t first = 0; first < peer_list.size(); ++first) {
    EXPECT_EQ(ask("GET", kTarget).body, kManifest);
  }
}

struct OriginTrouble : MirrorTest, testing::WithParamInterface<int> {
  OriginTrouble() {
    switch (GetParam()) {
      case 0:
        origin.server.close();
        return;
      case 1:
        options.tag_patience = 50ms;
        origin.server.handler = [this](http::Connection&, http::Request) -> awaitable<bool> {
          co_await clock.sleep_for(1h);
          co_return false;
        };
        return;
      case 2:
        origin.server.handler = [](http::Connection&, http::Request) -> awaitable<bool> {
          co_return false;
        };
        return;
      case 3:
        options.tag_patience = 50ms;
        dialer.black_hole = true;
        return;
      default:
        origin.behaviour.status = GetParam();
    }
  }
};

TEST_P(OriginTrouble, TagComesFromThisNodesStore) {
  const auto digest = store.add(kManifest);
  store.tag("docker.io/library/nginx:1.25", digest, kType);
  const auto head = ask("HEAD", kTarget);
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.header("Docker-Content-Digest"), digest.to_string());
  EXPECT_EQ(head.header("Content-Type"), kType);
  EXPECT_EQ(head.length.bytes, kManifest.size());
  EXPECT_EQ(ask("GET", kTarget).body, kManifest);
  EXPECT_EQ(last_pull().source, PullSource::local);
}

TEST_P(OriginTrouble, TagComesFromAPeer) {
  add_peer();
  auto& peer = add_peer();
  const auto digest = peer.add(kManifest);
  peer.tag(kTag, digest);
  const auto head = ask("HEAD", kTarget);
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.header("Docker-Content-Digest"), digest.to_string());
  EXPECT_EQ(head.header("Content-Type"), kType);
  EXPECT_EQ(head.length.bytes, kManifest.size());
  EXPECT_EQ(ask("GET", kTarget).body, kManifest);
  EXPECT_EQ(last_pull().peers, "peer-2");
}

TEST_P(OriginTrouble, WithoutPeersItIsTheOriginsOwnAnswer) {
  add_peer();
  const auto reply = ask("HEAD", kTarget);
  if (GetParam() > 100) {
    EXPECT_EQ(reply.status, static_cast<unsigned>(GetParam()));
  } else {
    EXPECT_EQ(reply.status, GetParam() % 2 == 1 ? 504U : 502U);
    EXPECT_THAT(last_pull().note, testing::HasSubstr("registry-1.docker.io"));
  }
}

INSTANTIATE_TEST_SUITE_P(Mirror, OriginTrouble, testing::Values(0, 1, 2, 3, 404, 429, 500, 503));

}  // namespace
}  // namespace hagring::registry
