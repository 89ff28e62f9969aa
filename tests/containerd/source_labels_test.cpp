// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/source_labels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;
using registry::ContentSource;
using testing::ElementsAre;
using testing::Optional;

std::vector<ContentSource> read(std::string_view key, std::string_view value) {
  std::vector<ContentSource> sources;
  add_sources(key, value, sources);
  return sources;
}

TEST(SourceLabels, NameRepositoriesOfARegistry) {
  EXPECT_THAT(read("containerd.io/distribution.source.docker.io", "acme/app,library/nginx"),
              ElementsAre(ContentSource{"docker.io", "acme/app"},
                          ContentSource{"docker.io", "library/nginx"}));
  EXPECT_THAT(read("containerd.io/distribution.source.localhost", "x"),
              ElementsAre(ContentSource{"localhost", "x"}));
  EXPECT_THAT(read("containerd.io/distribution.source.fd00::5", ",x,"),
              ElementsAre(ContentSource{"[fd00::5]", "x"}));
}

TEST(SourceLabels, OthersNameNone) {
  for (const auto* key : {"", "containerd.io/uncompressed", "containerd.io/distribution.source"}) {
    EXPECT_TRUE(read(key, "acme/app").empty()) << key;
  }
  for (const auto* value : {"", ",", ",,"}) {
    EXPECT_TRUE(read("containerd.io/distribution.source.docker.io", value).empty()) << value;
  }
}

TEST(KnownSources, AreAskedForAnewAfterAWhile) {
  test::ManualClock clock;
  KnownSources known(clock);
  const auto digest = registry::Digest::parse("sha256:" + std::string(64, 'a')).value();
  known.learn(digest, {}, 9s);  // they may come yet
  EXPECT_EQ(known.last(digest), std::nullopt);
  known.learn(digest, {}, 11s);
  EXPECT_THAT(known.fresh(digest), Optional(ElementsAre()));
  clock.advance(6s);
  EXPECT_EQ(known.fresh(digest), std::nullopt);
  known.learn(digest, {{"docker.io", "acme/app"}}, 1s);
  EXPECT_THAT(known.fresh(digest), Optional(ElementsAre(ContentSource{"docker.io", "acme/app"})));
  clock.advance(61s);
  EXPECT_EQ(known.fresh(digest), std::nullopt);
  EXPECT_TRUE(known.last(digest));
}

}  // namespace
}  // namespace hagring::containerd
