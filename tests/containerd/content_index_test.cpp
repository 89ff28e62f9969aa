// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/content_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/containerd/tiny_image.hpp"

namespace hagring::containerd {
namespace {

using test::digest_of;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr auto kName = "docker.io/library/nginx:1.25";

struct ContentIndexTest : testing::Test {
  registry::Digest one = digest_of("one");
  registry::Digest two = digest_of("two");
  ContentIndex index;

  static registry::Descriptor pointing_to(registry::Digest digest) {
    return {.digest = std::move(digest), .size = 3, .media_type = "m"};
  }
};

TEST_F(ContentIndexTest, TellsEachChangeOnce) {
  index.add_blob(one, 3);
  index.add_blob(one, 3);
  EXPECT_EQ(index.size_of(one), 3U);
  EXPECT_THAT(index.take_changes().added, UnorderedElementsAre(one.to_string()));
  EXPECT_TRUE(index.take_changes().empty());
  index.remove_blob(one);
  index.remove_blob(one);
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(one.to_string()));
  EXPECT_FALSE(index.size_of(one));
}

TEST_F(ContentIndexTest, NameIsHeldWhileItsTargetIs) {
  index.set_image(kName, pointing_to(one));
  EXPECT_TRUE(index.take_changes().empty());
  index.add_blob(one, 3);
  EXPECT_THAT(index.take_changes().added, UnorderedElementsAre(one.to_string(), kName));
  index.remove_blob(one);
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(one.to_string(), kName));
  EXPECT_EQ(index.target_of(kName)->digest, one);
}

TEST_F(ContentIndexTest, NameThatMovesToMissingContentIsWithdrawn) {
  index.add_blob(one, 3);
  index.set_image(kName, pointing_to(one));
  index.take_changes();
  index.set_image(kName, pointing_to(two));
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(kName));
  index.remove_blob(one);
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(one.to_string()));
}

/// Of one target, of which each has enough beside it for the tables to grow.
struct NamesOfOneTargetTest : ContentIndexTest {
  static constexpr auto kOther = "docker.io/library/nginx:latest";

  NamesOfOneTargetTest() {
    index.add_blob(one, 3);
    index.set_image(kName, pointing_to(one));
    index.set_image(kOther, pointing_to(one));
    for (int i = 0; i < 1000; ++i) {
      const auto text = std::to_string(i);
      index.set_image("docker.io/library/many:" + text, pointing_to(digest_of(text)));
    }
    index.take_changes();
  }

  std::size_t named(const registry::Digest& digest) const {
    return static_cast<std::size_t>(
        std::ranges::count(index.targets(), digest, &registry::Descriptor::digest));
  }

  /// kOther alone stands for `one`.
  void expect_the_other_only() {
    EXPECT_EQ(index.target_of(kOther)->digest, one);
    EXPECT_EQ(index.target_of(kOther)->media_type, "m");
    EXPECT_EQ(named(one), 1U);
    index.remove_blob(one);
    EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(one.to_string(), kOther));
    index.remove_image(kOther);
    EXPECT_EQ(named(one), 0U);
    EXPECT_FALSE(index.target_of(kOther));
  }
};

TEST_F(NamesOfOneTargetTest, OneIsRemoved) {
  index.remove_image(kName);
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(kName));
  EXPECT_FALSE(index.target_of(kName));
  expect_the_other_only();
}

TEST_F(NamesOfOneTargetTest, OneMoves) {
  index.set_image(kName, pointing_to(two));
  EXPECT_THAT(index.take_changes().removed, UnorderedElementsAre(kName));
  EXPECT_EQ(index.target_of(kName)->digest, two);
  EXPECT_EQ(named(two), 1U);
  expect_the_other_only();
}

TEST_F(NamesOfOneTargetTest, OneIsGoneInAScan) {
  index.begin_scan();
  index.add_blob(one, 3);
  index.set_image(kOther, pointing_to(one));
  index.end_scan();
  EXPECT_EQ(index.images(), 1U);
  EXPECT_EQ(index.targets().size(), 1U);
  EXPECT_THAT(index.take_changes().removed, testing::Contains(kName));
  expect_the_other_only();
}

TEST_F(ContentIndexTest, NameThatMovesToOtherContentStays) {
  index.add_blob(one, 3);
  index.add_blob(two, 3);
  index.set_image(kName, pointing_to(one));
  index.take_changes();
  index.set_image(kName, pointing_to(two));
  EXPECT_THAT(index.take_changes().removed, IsEmpty());
  EXPECT_EQ(index.target_of(kName)->digest, two);
}

TEST_F(ContentIndexTest, NamesThatSayNoMoreThanADigestAreResolvedButNotAnnounced) {
  const std::string by_digest = "docker.io/library/nginx@" + one.to_string();
  index.add_blob(one, 3);
  index.take_changes();
  index.set_image(by_digest, pointing_to(one));
  index.set_image(two.to_string(), pointing_to(one));
  EXPECT_TRUE(index.take_changes().empty());
  EXPECT_EQ(index.target_of(by_digest)->digest, one);
}

TEST_F(ContentIndexTest, ScanDropsWhatItDidNotSee) {
  index.add_blob(one, 3);
  index.add_blob(two, 3);
  index.set_image(kName, pointing_to(one));
  index.set_image("docker.io/library/gone:1", pointing_to(two));
  index.take_changes();
  index.begin_scan();
  index.add_blob(one, 3);
  index.set_image(kName, pointing_to(one));
  index.end_scan();
  const auto changes = index.take_changes();
  EXPECT_THAT(changes.added, IsEmpty());
  EXPECT_THAT(changes.removed, UnorderedElementsAre(two.to_string(), "docker.io/library/gone:1"));
  EXPECT_EQ(index.blobs(), 1U);
  EXPECT_EQ(index.images(), 1U);
}

TEST_F(ContentIndexTest, ScanKeepsWhatIsAddedWhileItRuns) {
  index.begin_scan();
  index.add_blob(one, 3);
  index.end_scan();
  EXPECT_EQ(index.size_of(one), 3U);
}

}  // namespace
}  // namespace hagring::containerd
