// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/config_path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "registry/containerd/runtime_config.hpp"

namespace hagring::containerd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(ConfigPath, OneAbsoluteDirectoryCanBeUsed) {
  EXPECT_EQ(usable_config_path("/etc/certs.d", "a file").directory, "/etc/certs.d");
  const std::pair<const char*, const char*> unusable[] = {
      {"", "no config_path"},
      {"/etc/containerd/certs.d:/etc/docker/certs.d", "several directories"},
      {"certs.d", "no absolute path"},
  };
  for (const auto& [text, why] : unusable) {
    const auto path = usable_config_path(text, "a file");
    EXPECT_EQ(path.directory, "") << text;
    EXPECT_THAT(path.how, testing::AllOf(HasSubstr("a file"), HasSubstr(why)));
  }
}

TEST(ConfigPath, IsFoundInTheStatusOfOldVersions) {
  EXPECT_EQ(config_path_in_status(R"({"registry":{"configPath":"/etc/certs.d"}})"), "/etc/certs.d");
  EXPECT_EQ(config_path_in_status(R"({"registry":{"configPath":""}})"), "");
  for (const auto* none : {"", "[]", "{", "{}", R"({"registry":1})", R"({"registry":{}})",
                           R"({"registry":{"configPath":7}})"}) {
    EXPECT_FALSE(config_path_in_status(none)) << none;
  }
}

TEST(ConfigPath, IsFoundInEachVersionsConfiguration) {
  for (const auto* section : {"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]",
                              "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]",
                              "[plugins.cri.registry]"}) {
    const auto config = parse_runtime_config(std::string(section) + "\nconfig_path = \"/etc/c\"\n");
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->config_path, "/etc/c") << section;
    EXPECT_FALSE(parse_runtime_config(section)->config_path) << section;
    EXPECT_FALSE(parse_runtime_config(std::string(section) + "\nconfig_path = 7")->config_path);
  }
}

TEST(ConfigPath, LastFileThatIsImportedCounts) {
  const fs::path root =
      fs::path(testing::TempDir()) / ("config-path-" + std::to_string(::getpid()));
  fs::create_directories(root / "etc/conf.d");
  constexpr auto kSection = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n";
  std::ofstream(root / "etc/config.toml") << "imports = [\"conf.d/*.toml\"]\n"
                                          << kSection << "config_path = \"/etc/a\"\n";
  std::ofstream(root / "etc/conf.d/b.toml") << kSection << "config_path = \"/etc/b\"\n";
  std::string last;
  const auto read = [&](const std::string& file, bool optional) {
    last.clear();
    return visit_runtime_config({.root = root.string(), .file = file, .optional = optional},
                                [&](const RuntimeConfig& config, const std::string&) {
                                  last = config.config_path.value_or(last);
                                });
  };
  EXPECT_EQ(read("/etc/config.toml", true), "");
  EXPECT_EQ(last, "/etc/b");
  EXPECT_EQ(read("/etc/none.toml", true), "");
  EXPECT_EQ(last, "");
  EXPECT_THAT(read("/etc/none.toml", false), HasSubstr("can't be read"));
  std::ofstream(root / "etc/conf.d/c.toml") << "= broken";
  EXPECT_THAT(read("/etc/config.toml", true), HasSubstr("c.toml: line 1"));
  fs::remove_all(root);
}

}  // namespace
}  // namespace hagring::containerd
