// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/registry/peer_fixture.hpp"

namespace hagring::registry {
namespace {

/// A node that has a manifest, under a tag, and a blob.
struct PeerPrivacy : PeerFixture {
  PeerPrivacy() {
    options.responder.policy = &policy;
    options.responder.privacy = &privacy;
    store.tag("docker.io/acme/app:1", manifest, "");
  }
  Result<Answer> get(const std::string& what) {
    if (!server) start();
    return ask("GET", "/v2/acme/app/" + what + "?ns=docker.io");
  }
  std::string mark(const std::string& what) { return get(what)->header(kPrivateField); }
  unsigned status(const std::string& what) { return get(what)->head.status; }

  Policy policy = Policy::defaults();
  Privacy privacy{clock};
  const Digest blob = store.add("a layer");
  const Digest manifest = store.add(
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":")" +
      blob.to_string() + R"(","size":7},"layers":[]})");
};

TEST_F(PeerPrivacy, MarksGoWithTheContentHoweverItIsAskedFor) {
  EXPECT_EQ(mark("blobs/" + blob.to_string()), "(none)");
  privacy.add(blob, "docker.io/acme/app");
  privacy.add(manifest, "docker.io/acme/app");
  privacy.add(manifest, "ghcr.io/acme/app");
  EXPECT_EQ(mark("blobs/" + blob.to_string()), "docker.io/acme/app");
  EXPECT_EQ(mark("manifests/" + manifest.to_string()), "docker.io/acme/app, ghcr.io/acme/app");
  EXPECT_EQ(mark("manifests/1"), "docker.io/acme/app, ghcr.io/acme/app");
  EXPECT_EQ(ask("HEAD", "/v2/x/blobs/" + blob.to_string())->header(kPrivateField),
            "docker.io/acme/app");
  EXPECT_EQ(
      ask("GET", "/v2/x/blobs/" + blob.to_string(), {{"Range", "bytes=1-"}})->header(kPrivateField),
      "docker.io/acme/app");
}

TEST_F(PeerPrivacy, WhatARuleOpensHasNoMark) {
  policy.add_rule("docker.io/acme/** authorize=open");
  privacy.add(blob, "docker.io/acme/app");
  EXPECT_EQ(mark("blobs/" + blob.to_string()), "(none)");
  privacy.add(manifest, "ghcr.io/acme/app");
  EXPECT_EQ(mark("manifests/1"), "ghcr.io/acme/app");
}

TEST_F(PeerPrivacy, OnAnOpenMeshPrivateContentIsNotServed) {
  options.responder.anybody = true;
  policy.add_rule("docker.io/other/** authorize=open");
  privacy.add(manifest, "docker.io/acme/app");
  EXPECT_EQ(status("manifests/1"), 404U);
  EXPECT_EQ(status("manifests/" + manifest.to_string()), 404U);
  EXPECT_EQ(status("blobs/" + blob.to_string()), 200U);
  privacy.add(blob, "docker.io/acme/app");
  // Nor under the name of what is open.
  EXPECT_EQ(ask("GET", "/v2/other/x/blobs/" + blob.to_string() + "?ns=docker.io")->head.status,
            404U);
  privacy.add(blob, "docker.io/other/x");
  EXPECT_EQ(status("blobs/" + blob.to_string()), 200U);
}

TEST_F(PeerPrivacy, WhereItIsFromGoesWithContentThatMayBePrivate) {
  const auto presumed = [&](const Digest& digest) {
    return get("blobs/" + digest.to_string())->header(kPresumedField);
  };
  EXPECT_EQ(presumed(blob), kNoSource);  // from nowhere
  store.came_from(blob, "docker.io", "acme/app");
  store.came_from(blob, "docker.io", "a/b");
  EXPECT_EQ(presumed(blob), "docker.io/acme/app, docker.io/a/b");
  EXPECT_EQ(mark("blobs/" + blob.to_string()), "(none)");
  privacy.learn("docker.io/a/b", Audience::everybody);
  EXPECT_EQ(presumed(blob), kNoSource);
  store.came_from(manifest, "docker.io", "acme/app");
  EXPECT_EQ(get("manifests/1")->header(kPresumedField), "docker.io/acme/app");
  privacy.learn("docker.io/acme/app", Audience::some);
  EXPECT_EQ(mark("manifests/1"), "docker.io/acme/app");
  EXPECT_EQ(get("manifests/1")->header(kPresumedField), "(none)");
}

TEST_F(PeerPrivacy, WhoServesAsksToo) {
  std::vector<std::string> asked;
  options.responder.inquire = [&](std::string repository, const Digest& digest, bool is_manifest) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(digest, manifest);
    EXPECT_TRUE(is_manifest);
    asked.push_back(std::move(repository));
  };
  store.came_from(manifest, "docker.io", "acme/app");
  for (int i = 0; i < 3; ++i) get("manifests/1");
  EXPECT_THAT(asked, testing::ElementsAre("docker.io/acme/app"));
}

TEST_F(PeerPrivacy, OnAnOpenMeshWhatMayBePrivateIsServedOnceItsRegistryHasBeenAsked) {
  options.responder.anybody = true;
  options.responder.inquiry = std::chrono::milliseconds(20);
  store.came_from(manifest, "docker.io", "acme/app");
  EXPECT_EQ(status("manifests/1"), 404U);
  ASSERT_TRUE(privacy.begin_inquiry("docker.io/acme/app"));
  EXPECT_EQ(status("manifests/1"), 404U);
  privacy.end_inquiry("docker.io/acme/app", true);
  EXPECT_EQ(status("manifests/1"), 200U);
  privacy.learn("docker.io/acme/app", Audience::some);
  EXPECT_EQ(status("manifests/1"), 404U);
  privacy.learn("docker.io/acme/app", Audience::everybody);
  EXPECT_EQ(status("manifests/1"), 200U);
}

TEST_F(PeerPrivacy, OnAnOpenMeshTheInquiryIsWaitedFor) {
  options.responder.anybody = true;
  options.responder.inquiry = std::chrono::seconds(20);
  options.responder.inquire = [&](const std::string& repository, const Digest&, bool) {
    privacy.learn(repository, Audience::everybody);
  };
  store.came_from(manifest, "docker.io", "acme/app");
  EXPECT_EQ(status("manifests/1"), 200U);
}

TEST_F(PeerPrivacy, WhatARuleExcludesIsNotServed) {
  policy.add_rule("docker.io/acme/app mirror=no");
  EXPECT_EQ(status("manifests/1"), 404U);
  EXPECT_EQ(status("manifests/" + manifest.to_string()), 404U);
  EXPECT_EQ(status("blobs/" + blob.to_string()), 404U);
}

}  // namespace
}  // namespace hagring::registry
