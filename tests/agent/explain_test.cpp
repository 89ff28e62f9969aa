// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/manual_clock.hpp"
#include "userspace/agent/explanation.hpp"

namespace hagring::cli {
namespace {

using registry::Reference;
using testing::HasSubstr;
using testing::Not;

registry::Policy policy() {
  auto made = registry::Policy::defaults();
  made.add_rule("docker.io/acme/** authorize=strict");
  made.add_rule("docker.io/**:latest tags=peers-first");
  made.add_rule("ghcr.io/** mirror=no");
  return made;
}

std::string shown(std::string_view reference, registry::Privacy* privacy = nullptr) {
  return render_explanation(
      agent::explain(policy(), Reference::parse_familiar(reference).value(), privacy));
}

TEST(Explain, NamesTheRuleOrTheDefaultThatDecided) {
  const auto text = shown("acme/app");
  EXPECT_THAT(text, HasSubstr("docker.io/acme/app:latest\n"));
  EXPECT_THAT(text, HasSubstr("registry docker.io at registry-1.docker.io: mirrored\n"));
  EXPECT_THAT(text, HasSubstr("by its tag: this node and its peers say"));
  EXPECT_THAT(text, HasSubstr("tags       peers-first   rule 2: docker.io/**:latest "));
  EXPECT_THAT(text, HasSubstr("authorize  strict        rule 1: docker.io/acme/** authorize"));
  EXPECT_THAT(text, HasSubstr("mirror     yes           default"));
  EXPECT_THAT(text, HasSubstr("by digest: from this node, then its peers, then the registry; only "
                              "once the registry has let the client's credentials in"));
  EXPECT_THAT(text, HasSubstr("tags       origin-first  default"));
}

TEST(Explain, TellsWhyAnImageIsNotMirrored) {
  EXPECT_THAT(shown("ghcr.io/a/b:1"), HasSubstr("not mirrored: rule 3 excludes it"));
  EXPECT_THAT(shown("ghcr.io/a/b:1"), HasSubstr("by its tag: goes to the registry untouched"));
  EXPECT_THAT(shown("registry.test/a:1"), HasSubstr("--registry registry.test mirrors it"));
}

TEST(Explain, ADigestIsNoTag) {
  const auto text = shown("nginx:latest@sha256:" + std::string(64, 'a'));
  EXPECT_THAT(text, Not(HasSubstr("by its tag")));
  EXPECT_THAT(text, HasSubstr("tags       origin-first  default"));
}

TEST(Explain, TellsWhatIsKnownOfTheRepository) {
  test::ManualClock clock;
  registry::Privacy privacy(clock);
  EXPECT_THAT(shown("nginx", &privacy), HasSubstr("the repository is not known to be public;"));
  privacy.learn("docker.io/library/nginx", registry::Audience::some);
  const auto digest = registry::Digest::parse("sha256:" + std::string(64, 'a')).value();
  privacy.add(digest, "docker.io/library/nginx");
  EXPECT_THAT(shown("nginx", &privacy),
              HasSubstr("the repository is private (asked again in 86400 s); 1 digests"));
  EXPECT_THAT(shown("acme/app@" + digest.to_string(), &privacy),
              HasSubstr("the digest is private under docker.io/library/nginx"));
  EXPECT_THAT(shown("acme/app@sha256:" + std::string(64, 'b'), &privacy),
              HasSubstr("the digest isn't marked private"));
  EXPECT_THAT(shown("nginx"), Not(HasSubstr("the repository")));
}

TEST(Explain, TellsWhereUnmarkedContentIsFromAndWhatFollows) {
  test::ManualClock clock;
  registry::Privacy privacy(clock);
  const auto held = registry::Digest::parse("sha256:" + std::string(64, 'a')).value();
  const auto text = [&] {
    return render_explanation(
        agent::explain(policy(), Reference::parse_familiar("nginx").value(), &privacy, held));
  };
  EXPECT_THAT(text(), HasSubstr("this node has it (" + held.to_string() +
                                "): free: containerd doesn't say that it is from a registry"));
  privacy.presume(held, {"docker.io/library/nginx"});
  EXPECT_THAT(text(), HasSubstr("fetched from docker.io/library/nginx: presumed private: its "
                                "registry hasn't said yet"));
  privacy.begin_inquiry("docker.io/library/nginx");
  EXPECT_THAT(text(), HasSubstr("asking whether everybody may have it: under way"));
  privacy.end_inquiry("docker.io/library/nginx", true);
  EXPECT_THAT(text(), HasSubstr("given: it may be private, but its registry can't be asked"));
  privacy.learn("docker.io/library/nginx", registry::Audience::everybody);
  EXPECT_THAT(text(), HasSubstr("free: each registry"));
  privacy.learn("docker.io/library/nginx", registry::Audience::some);
  EXPECT_THAT(text(), HasSubstr("private: it is marked"));
}

TEST(Explain, ExitCodesTellWhetherItIsMirrored) {
  const auto decide = [](const Reference& reference) {
    return agent::explain(policy(), reference, nullptr);
  };
  testing::internal::CaptureStdout();
  EXPECT_EQ(explain({.json = true, .what = "nginx", .decide = decide}), 0);
  EXPECT_TRUE(nlohmann::json::parse(testing::internal::GetCapturedStdout()).at("mirrored"));
  testing::internal::CaptureStdout();
  EXPECT_EQ(explain({.what = "ghcr.io/a/b", .decide = decide}), 1);
  testing::internal::GetCapturedStdout();
  for (const auto* what : {"", "UPPER/case", "a b", "sha256:", "nginx@sha256:1"}) {
    EXPECT_EQ(explain({.what = what, .decide = decide}), 2) << what;
  }
  EXPECT_EQ(explain({.socket = "/nonexistent/hagring.sock", .what = "nginx"}), 3);
}

TEST(Explain, RefusesWhatIsNoAnswer) {
  EXPECT_THROW(render_explanation("{}"), std::exception);
  EXPECT_THROW(render_explanation("<html>"), std::exception);
}

}  // namespace
}  // namespace hagring::cli
