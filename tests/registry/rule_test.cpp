// SPDX-License-Identifier: Apache-2.0
#include "registry/rule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/glob.hpp"
#include "registry/policy.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {
namespace {

using testing::HasSubstr;

TEST(Glob, OneStarStaysWithinAPartAndTwoDoNot) {
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_TRUE(glob_matches("a*c", "ac"));
  EXPECT_TRUE(glob_matches("a*c", "abbc"));
  EXPECT_TRUE(glob_matches("*.test/a", "x.y.test/a"));
  EXPECT_TRUE(glob_matches("docker.io/**", "docker.io/library/nginx"));
  EXPECT_TRUE(glob_matches("**", "anything/at/all"));
  EXPECT_TRUE(glob_matches("**/x", "a/b/x"));
  EXPECT_TRUE(glob_matches("a/**z", "a/b/cz"));
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_FALSE(glob_matches("a", ""));
  EXPECT_FALSE(glob_matches("a*c", "a/c"));
  EXPECT_FALSE(glob_matches("docker.io/*", "docker.io/library/nginx"));
  EXPECT_FALSE(glob_matches("docker.io/**", "docker.iox/library/nginx"));
  EXPECT_FALSE(glob_matches("a*b", "aab/"));
}

TEST(Glob, ManyStarsTakeNoLongerThanTheyAreLong) {
  std::string pattern;
  for (int i = 0; i < 300; ++i) pattern += "*a";
  EXPECT_FALSE(glob_matches(pattern + "b", std::string(400, 'a')));
}

Reference reference(std::string_view text) { return Reference::parse_familiar(text).value(); }

TEST(Rule, DescribesNamesTagsAndDigests) {
  const auto digest = "sha256:" + std::string(64, 'a');
  const auto of = [](std::string_view pattern) {
    return Rule::parse(std::string(pattern) + " mirror=no");
  };
  EXPECT_TRUE(of("docker.io/library/*").matches(reference("nginx:1")));
  EXPECT_TRUE(of("docker.io/library/*").matches(reference("nginx@" + digest)));
  EXPECT_FALSE(of("docker.io/library/*").matches(reference("acme/app")));
  EXPECT_TRUE(of("*.example.com/**").matches(reference("eu.example.com/a/b/c")));
  EXPECT_FALSE(of("*.example.com/**").matches(reference("example.com/a")));
  EXPECT_TRUE(of("registry.test:5000/**").matches(reference("registry.test:5000/a:1")));
  EXPECT_TRUE(of("registry.test:5000/a:1*").matches(reference("registry.test:5000/a:1.2")));
  EXPECT_TRUE(of("**:latest").matches(reference("nginx")));
  EXPECT_FALSE(of("**:latest").matches(reference("nginx:1")));
  EXPECT_FALSE(of("**:latest").matches(reference("nginx@" + digest)));
  EXPECT_TRUE(of("**@sha256:a*").matches(reference("nginx@" + digest)));
  EXPECT_FALSE(of("**@sha256:b*").matches(reference("nginx@" + digest)));
  EXPECT_FALSE(of("**@*").matches(reference("nginx:1")));
}

TEST(Rules, TheFirstThatMatchesAndSetsAKeyDecidesIt) {
  Policy policy;
  policy.add_rule("docker.io/library/nginx tags=peers-first");
  policy.add_rule("  docker.io/**   tags=peers-only\tauthorize=open ");
  policy.add_rule("docker.io/library/* authorize=strict mirror=no");
  const auto nginx = policy.decide(reference("nginx"));
  EXPECT_EQ(nginx.tags, TagOrder::peers_first);
  EXPECT_EQ(nginx.tags_rule, 1U);
  EXPECT_EQ(nginx.authorize, Authorize::open);
  EXPECT_EQ(nginx.authorize_rule, 2U);
  EXPECT_FALSE(nginx.mirror);
  EXPECT_EQ(nginx.mirror_rule, 3U);
  const auto other = policy.decide(reference("ghcr.io/a/b"));
  EXPECT_EQ(other.tags, TagOrder::origin_first);
  EXPECT_EQ(other.authorize, Authorize::automatic);
  EXPECT_TRUE(other.mirror);
  EXPECT_FALSE(other.tags_rule || other.authorize_rule || other.mirror_rule);
  EXPECT_EQ(policy.rules().all()[1].text(), "docker.io/** tags=peers-only authorize=open");
}

TEST(Rules, ExcludedNamesAreNotAnnounced) {
  Policy policy;
  policy.add_rule("docker.io/acme/** mirror=no");
  EXPECT_FALSE(policy.may_announce("docker.io/acme/app:1"));
  EXPECT_TRUE(policy.may_announce("docker.io/library/nginx:1"));
  EXPECT_TRUE(policy.may_announce("sha256:" + std::string(64, 'a')));
}

TEST(Policy, KnowsMirroredRegistriesByTheNameOfTheirImages) {
  auto policy = Policy::defaults();
  policy.add("registry.test:5000");
  policy.add("http://plain.test");
  policy.add("http://10.0.0.1:8080");
  for (const auto* name :
       {"docker.io", "ghcr.io", "registry.test:5000", "plain.test", "10.0.0.1:8080"}) {
    EXPECT_TRUE(policy.mirrors(name)) << name;
  }
  for (const auto* name : {"registry.test", "other.test", "ghcr.io:8443", "localhost:5000"}) {
    EXPECT_FALSE(policy.mirrors(name)) << name;
  }
}

/// A rule, and what the refusal says.
using Wrong = std::pair<const char*, const char*>;
struct WrongRule : testing::TestWithParam<Wrong> {};

TEST_P(WrongRule, IsRefusedWithWhatToWrite) {
  Rules rules;
  rules.add("docker.io/** tags=peers-first");
  try {
    rules.add(GetParam().first);
    FAIL() << GetParam().first;
  } catch (const StartError& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().second));
    EXPECT_THAT(error.what(), HasSubstr("--rule: number 2, '"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, WrongRule,
    testing::Values(Wrong{"", "it is a pattern and at least one of"},
                    Wrong{"docker.io/**", "it is a pattern and at least one of"},
                    Wrong{"docker.io tags=peers-only", "write docker.io/** for all"},
                    Wrong{"nginx tags=peers-only", "docker.io/library/NAME"},
                    Wrong{"docker.io/nginx tags=peers-only", "docker.io/library/nginx"},
                    Wrong{"library/nginx tags=peers-only", "describes no image's name"},
                    Wrong{"registry-1.docker.io/** tags=peers-only", "are named docker.io"},
                    Wrong{"GHCR.io/** tags=peers-only", "are named ghcr.io"},
                    Wrong{"ghcr.io/Acme/** tags=peers-only", "in lower case"},
                    Wrong{"ghcr.io// tags=peers-only", "describes no image's name"},
                    Wrong{"docker.io/** tags=fast", "one of origin-first, peers-first, peers-only"},
                    Wrong{"docker.io/** authorize=no", "one of auto, open, strict"},
                    Wrong{"docker.io/** mirror=true", "one of yes, no"},
                    Wrong{"docker.io/** mirror", "one of yes, no"},
                    Wrong{"docker.io/** colour=red", "none of tags=…, authorize=… and mirror=…"},
                    Wrong{"docker.io/** mirror=no mirror=no", "set twice"},
                    Wrong{"docker.io/a/b:x/y tags=peers-only", "describes no image's name"},
                    Wrong{"docker.io/a/b:.x tags=peers-only", "is no tag"},
                    Wrong{"docker.io/a/b@sha256:12 tags=peers-only", "is no digest"},
                    Wrong{"docker.io/a/b:1@* tags=peers-only", "write two rules"}));

}  // namespace
}  // namespace hagring::registry
