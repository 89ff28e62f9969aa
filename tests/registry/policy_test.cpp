// SPDX-License-Identifier: Apache-2.0
#include "registry/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "userspace/base/result.hpp"

namespace hagring::registry {
namespace {

using testing::Contains;
using testing::Not;
using Name = std::optional<std::string>;

TEST(Policy, NamesTheDefaultRegistries) {
  const auto policy = Policy::defaults();
  EXPECT_EQ(policy.registry_of("registry-1.docker.io", 443, false), Name("docker.io"));
  EXPECT_EQ(policy.registry_of("GHCR.io", 443, false), Name("ghcr.io"));
  EXPECT_EQ(policy.registry_of("eu.gcr.io", 443, false), Name("eu.gcr.io"));
  EXPECT_EQ(policy.registry_of("europe-docker.pkg.dev", 443, false), Name("europe-docker.pkg.dev"));
  EXPECT_EQ(policy.registry_of("1234.dkr.ecr.eu-north-1.amazonaws.com", 443, false),
            Name("1234.dkr.ecr.eu-north-1.amazonaws.com"));
}

TEST(Policy, LeavesOtherHostsAlone) {
  const auto policy = Policy::defaults();
  for (const auto* host :
       {"auth.docker.io", "production.cloudflare.docker.com", "evil-ghcr.io", "ghcr.io.evil.test",
        "a.b.gcr.io", "s3.amazonaws.com", "dkr.ecr.eu-north-1.amazonaws.com", "", ".", ".gcr.io",
        "*.gcr.io", "a\"b.gcr.io", "a/b.gcr.io"}) {
    EXPECT_EQ(policy.registry_of(host, 443, false), std::nullopt) << host;
  }
  EXPECT_EQ(policy.registry_of("ghcr.io", 8443, false), std::nullopt);
  EXPECT_EQ(policy.registry_of("ghcr.io", 443, true), std::nullopt);
}

TEST(Policy, AddsRegistriesWithPortsAndWithoutTls) {
  Policy policy;
  policy.add("Registry.test");
  policy.add("other.test:5000");
  policy.add("http://plain.test");
  policy.add("http://10.0.0.1:8080");
  policy.add("https://*.wild.test");
  EXPECT_EQ(policy.registry_of("registry.test", 443, false), Name("registry.test"));
  EXPECT_EQ(policy.registry_of("other.test", 5000, false), Name("other.test:5000"));
  EXPECT_EQ(policy.registry_of("plain.test", 80, true), Name("plain.test"));
  EXPECT_EQ(policy.registry_of("10.0.0.1", 8080, true), Name("10.0.0.1:8080"));
  EXPECT_EQ(policy.registry_of("a.wild.test", 443, false), Name("a.wild.test"));
  EXPECT_THAT(policy.name_constraints(),
              testing::ElementsAre("other.test", "registry.test", "wild.test"));
}

TEST(Policy, RefusesWhatIsNoRegistry) {
  Policy policy;
  for (const auto* text : {"", "*", "*.com", "a.*", "a b", "a..b", "host:0", "host:70000",
                           "host:", "ftp://host", "host/path", "-a.test", "[::1]:5000"}) {
    EXPECT_THROW(policy.add(text), StartError) << text;
  }
}

TEST(Policy, ConstrainsTheAuthorityToTheRegistries) {
  const auto suffixes = Policy::defaults().name_constraints();
  EXPECT_THAT(suffixes, Contains("registry-1.docker.io"));
  EXPECT_THAT(suffixes, Contains("pkg.dev"));
  EXPECT_THAT(suffixes, Contains("gcr.io"));
  EXPECT_THAT(suffixes, Contains("dkr.ecr.eu-north-1.amazonaws.com"));
  EXPECT_THAT(suffixes, Contains("dkr.ecr.cn-north-1.amazonaws.com.cn"));
  EXPECT_THAT(suffixes, Not(Contains("amazonaws.com")));
}

TEST(Policy, FindsRegistriesByTheirHostsAlone) {
  auto policy = Policy::defaults();
  policy.add("registry.test:5000");
  policy.add("http://registry.test");
  EXPECT_EQ(policy.registries_at("docker.io"), std::vector<std::string>{"docker.io"});
  EXPECT_EQ(policy.registries_at("eu.gcr.io"), std::vector<std::string>{"eu.gcr.io"});
  EXPECT_EQ(policy.registries_at("registry.test"),
            (std::vector<std::string>{"registry.test", "registry.test:5000"}));
  EXPECT_TRUE(policy.registries_at("other.test").empty());
  const auto hub = policy.server_of("docker.io").value();
  EXPECT_EQ(hub.host, "registry-1.docker.io");
  EXPECT_EQ(hub.port, 443);
  EXPECT_FALSE(hub.plain);
  const auto plain = policy.server_of("registry.test").value();
  EXPECT_EQ(plain.port, 80);
  EXPECT_TRUE(plain.plain);
  EXPECT_EQ(policy.server_of("registry.test:5000").value().port, 5000);
  EXPECT_FALSE(policy.server_of("registry.test:5001"));
}

}  // namespace
}  // namespace hagring::registry
