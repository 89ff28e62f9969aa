// SPDX-License-Identifier: Apache-2.0
#include "registry/reference.hpp"

#include <gtest/gtest.h>

#include <map>

namespace hagring::registry {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'b');

TEST(Reference, ReadsTheRuntimesNames) {
  const auto tagged = Reference::parse("docker.io/library/nginx:1.25");
  ASSERT_TRUE(tagged);
  EXPECT_EQ(*tagged, (Reference{"docker.io", "library/nginx", "1.25"}));
  EXPECT_EQ(tagged->name(), "docker.io/library/nginx");
  for (const std::string& text :
       {std::string("docker.io/library/nginx:1.25"), "ghcr.io/a/b-c/d__e@" + kDigest,
        "localhost:5000/x:y@" + kDigest, std::string("[2001:db8::1]:5000/x"),
        std::string("192.0.2.1/hagring/probe:1"), std::string("registry.k8s.io/x")}) {
    const auto reference = Reference::parse(text);
    ASSERT_TRUE(reference) << text;
    EXPECT_EQ(reference->to_string(), text);
  }
}

TEST(Reference, OtherNamesAreNone) {
  for (const std::string& text :
       {std::string(), kDigest, std::string("nginx"), std::string("nginx:1"),
        std::string("library/nginx:1"), std::string("docker.io/"), std::string("docker.io/A:1"),
        std::string("docker.io/a:"), std::string("docker.io/a:-x"), std::string("docker.io/a:x/y"),
        std::string("docker.io/a@sha256:12"), std::string("docker.io//a"), std::string("/a"),
        std::string("-x.io/a"), std::string("x.io:port/a"), "docker.io/" + std::string(256, 'a'),
        std::string("docker.io/a b"), std::string("docker.io/a:1@"), std::string("[::1/a")}) {
    EXPECT_FALSE(Reference::parse(text)) << text;
  }
}

TEST(Reference, ReadsNamesAsPeopleWriteThem) {
  for (const auto& [written, full] : std::map<std::string, std::string>{
           {"nginx", "docker.io/library/nginx:latest"},
           {"nginx:1.27", "docker.io/library/nginx:1.27"},
           {"rancher/k3s:v1", "docker.io/rancher/k3s:v1"},
           {"localhost/app", "localhost/app:latest"},
           {"registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"},
           {"plain.lab.test:5000/team/app:1", "plain.lab.test:5000/team/app:1"}}) {
    const auto reference = Reference::parse_familiar(written);
    ASSERT_TRUE(reference) << written;
    EXPECT_EQ(reference->to_string(), full);
  }
  const auto pinned = Reference::parse_familiar("nginx@sha256:" + std::string(64, 'a'));
  ASSERT_TRUE(pinned);
  EXPECT_FALSE(pinned->tag);
  for (const auto* none : {"", "Nginx", "nginx:", "a b", "nginx@sha256:12"}) {
    EXPECT_FALSE(Reference::parse_familiar(none)) << none;
  }
}

TEST(Reference, RepositoryGrammar) {
  for (const std::string_view good :
       {"a", "library/nginx", "a.b", "a_b", "a__b", "a--b---c", "0/1/2"}) {
    EXPECT_TRUE(is_repository(good)) << good;
  }
  for (const std::string_view bad : {"", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-",
                                     "a._b", "a.-b", ".", "..", "a/../b", "a:b", "a%2fb", "a\n"}) {
    EXPECT_FALSE(is_repository(bad)) << bad;
  }
  EXPECT_TRUE(is_repository(std::string(255, 'a')));
  EXPECT_FALSE(is_repository(std::string(256, 'a')));
}

TEST(Reference, TagGrammar) {
  for (const std::string_view good : {"1.25", "_x", "A-b.c_d", "latest"}) EXPECT_TRUE(is_tag(good));
  for (const std::string_view bad : {"", ".a", "-a", "a:b", "a/b", "a b", "a%20"}) {
    EXPECT_FALSE(is_tag(bad)) << bad;
  }
  EXPECT_TRUE(is_tag(std::string(128, 'a')));
  EXPECT_FALSE(is_tag(std::string(129, 'a')));
}

TEST(Reference, DockerHubHasOneName) {
  EXPECT_EQ(registry_of_host("registry-1.docker.io"), "docker.io");
  EXPECT_EQ(registry_of_host("Index.Docker.IO:443"), "docker.io");
  EXPECT_EQ(registry_of_host("docker.io"), "docker.io");
  EXPECT_EQ(registry_of_host("GHCR.io"), "ghcr.io");
  EXPECT_EQ(registry_of_host("localhost:5000"), "localhost:5000");
  EXPECT_EQ(host_of_registry("docker.io"), "registry-1.docker.io");
  EXPECT_EQ(host_of_registry("quay.io"), "quay.io");
}

}  // namespace
}  // namespace hagring::registry
