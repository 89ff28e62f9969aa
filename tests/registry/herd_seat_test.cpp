// SPDX-License-Identifier: Apache-2.0
// What this node's clients get from herds, and what their node tells the coordinator.
#include <algorithm>

#include "tests/registry/herd_fixture.hpp"

namespace hagring::herd {
namespace {

using registry::kManifest;
using registry::PullSource;

TEST_F(HerdTest, HolderGivesTheWholeBlob) {
  const auto digest = other.add("small and public");
  answer_joins(Holder{"other"});
  const auto reply = get_blob_of("x", digest);
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, "small and public");
  EXPECT_EQ(asked("GET"), 0);
}

/// The mark comes with the holder's answer: it must count before a byte is passed on.
TEST_F(HerdTest, PrivateBlobOfAHolderNeedsTheOriginsYes) {
  repositories["team/app"].credentials = {"Bearer alice"};
  const auto digest = publish("team/app", "small and private");
  give(other, "small and private", "docker.io/team/app");
  answer_joins(Holder{"other"});
  const auto begin = clock.now();
  const auto reply = get_blob_of("team/app", digest);
  EXPECT_EQ(reply.status, 401U);
  EXPECT_EQ(reply.body, "the origin's own");
  EXPECT_EQ(finished.size(), 0U);
  EXPECT_LT(clock.now() - begin, std::chrono::seconds(4)) << "the herd is asked no more";
  EXPECT_EQ(get_blob_of("team/app", digest, "Bearer alice").status, 200U);
}

TEST_F(HerdTest, PrivateManifestOfAHolderNeedsTheOriginsYes) {
  repositories["team/app"].credentials = {"Bearer alice"};
  const auto digest = publish("team/app", kManifest);
  give(other, kManifest, "docker.io/team/app");
  answer_joins(Holder{"other"});
  const auto path = manifest_path("team/app", digest.to_string());
  EXPECT_EQ(get_of(path).status, 401U);
  EXPECT_EQ(finished.size(), 0U);
}

}  // namespace
}  // namespace hagring::herd
