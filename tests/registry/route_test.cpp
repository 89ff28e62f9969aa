// SPDX-License-Identifier: Apache-2.0
#include "registry/route.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

using Kind = Route::Kind;

const std::string kDigest = "sha256:" + std::string(64, 'b');

TEST(Route, ReadsOfManifestsAndBlobs) {
  const auto tag = route("HEAD", "/v2/library/nginx/manifests/1.25?ns=registry-1.docker.io");
  EXPECT_EQ(tag.kind, Kind::manifest);
  EXPECT_TRUE(tag.head);
  EXPECT_EQ(tag.repository, "library/nginx");
  EXPECT_EQ(tag.tag, "1.25");
  EXPECT_FALSE(tag.digest);
  EXPECT_EQ(tag.registry, "docker.io");

  const auto manifest = route("GET", "/v2/a/manifests/" + kDigest);
  EXPECT_EQ(manifest.kind, Kind::manifest);
  EXPECT_FALSE(manifest.tag);
  EXPECT_EQ(manifest.digest->to_string(), kDigest);
  EXPECT_EQ(manifest.registry, "");

  const auto blob = route("GET", "https://r.io/v2/a/blobs/sha256%3a" + std::string(64, 'b'));
  EXPECT_EQ(blob.kind, Kind::blob);
  EXPECT_EQ(blob.digest->to_string(), kDigest);
}

TEST(Route, NamesMayContainTheWordsOfThePath) {
  const auto odd = route("GET", "/v2/manifests/manifests/blobs/manifests/tags");
  EXPECT_EQ(odd.kind, Kind::manifest);
  EXPECT_EQ(odd.repository, "manifests/manifests/blobs");
  EXPECT_EQ(odd.tag, "tags");
}

TEST(Route, TheVersionCheck) {
  EXPECT_EQ(route("GET", "/v2/").kind, Kind::version);
  EXPECT_EQ(route("GET", "/v2").kind, Kind::version);
  EXPECT_EQ(route("HEAD", "/v2/?a=b").kind, Kind::version);
}

TEST(Route, AllElsePassesThrough) {
  for (const std::string& target : {std::string("/"),
                                    std::string("/v1/a/manifests/b"),
                                    std::string("/v2/a/tags/list"),
                                    "/v2/a/referrers/" + kDigest,
                                    std::string("/v2/a/blobs/uploads/"),
                                    std::string("/v2/a/blobs/uploads/1"),
                                    std::string("/v2/_catalog"),
                                    std::string("/v2/a/blobs/latest"),
                                    std::string("/v2/a/blobs/sha256:12"),
                                    std::string("/token?scope=x"),
                                    std::string("/v2/A/manifests/b"),
                                    std::string("/v2//manifests/b"),
                                    std::string("/v2/manifests/b"),
                                    std::string("/v2/a/manifests/"),
                                    std::string("/v2/a/manifests/b/"),
                                    std::string("/v2/a/manifests/.."),
                                    std::string("/v2/../a/manifests/b"),
                                    std::string("/v2/a%2fb/manifests/c"),
                                    std::string("/v2/a/manifests%2fb"),
                                    std::string("/v2/a/manifests/b%00"),
                                    std::string("/v2/a/manifests/b%"),
                                    std::string("/v2/a/manifests/b?ns=a/b"),
                                    std::string("*"),
                                    std::string(""),
                                    "/v2/" + std::string(300, 'a') + "/manifests/b"}) {
    EXPECT_EQ(route("GET", target).kind, Kind::passthrough) << target;
  }
  for (const std::string_view method : {"PUT", "DELETE", "POST", "PATCH", "get", "OPTIONS"}) {
    EXPECT_EQ(route(method, "/v2/a/manifests/b").kind, Kind::passthrough) << method;
  }
}

}  // namespace
}  // namespace hagring::registry
