// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/runtime_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace hagring::containerd {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using testing::HasSubstr;

constexpr auto kVersion3 =
    "version = 3\n[plugins.'io.containerd.cri.v1.images']\n  discard_unpacked_layers = true\n";
constexpr auto kVersion2 =
    "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n"
    "  discard_unpacked_layers = true\n";
constexpr auto kVersion1 = "[plugins.cri.containerd]\n  discard_unpacked_layers = true\n";

TEST(RuntimeConfig, FindsTheSettingOfEachVersion) {
  for (const auto& [version, text] :
       {std::pair(3, kVersion3), std::pair(2, kVersion2), std::pair(1, kVersion1)}) {
    const auto config = parse_runtime_config(text);
    ASSERT_TRUE(config) << config.error().text;
    EXPECT_EQ(config->version, version);
    EXPECT_EQ(config->discards, true);
  }
}

TEST(RuntimeConfig, OtherVersionsSectionsDontCount) {
  const auto config = parse_runtime_config("version = 3\n"s + std::string(kVersion2).substr(12));
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->discards);
  EXPECT_FALSE(config->has_section);
  EXPECT_FALSE(parse_runtime_config("")->discards);
}

TEST(RuntimeConfig, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> wrong[] = {
      {"version = \"3\"", "version is no number"},
      {"imports = \"/etc/x\"", "imports is no array"},
      {"imports = [1]", "no string"},
      {"version = 3\n[plugins.'io.containerd.cri.v1.images']\ndiscard_unpacked_layers = \"true\"",
       "neither true nor false"},
      {"a = 1\nb = = 2", "line 2"},
  };
  for (const auto& [text, problem] : wrong) {
    const auto config = parse_runtime_config(text);
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().text, HasSubstr(problem));
  }
  for (const auto* harmless : {"plugins = 1", "plugins = {cri = 1}",
                               "version = 3\n[plugins]\n'io.containerd.cri.v1.images' = []"}) {
    ASSERT_TRUE(parse_runtime_config(harmless)) << harmless;
    EXPECT_FALSE(parse_runtime_config(harmless)->discards);
  }
}

TEST(ConfigArgument, IsWhatGoTakes) {
  const auto line = [](std::initializer_list<const char*> arguments) {
    std::string text;
    for (const auto* argument : arguments) text.append(argument).push_back('\0');
    return config_argument(text);
  };
  EXPECT_EQ(line({"/usr/bin/containerd"}), std::nullopt);
  EXPECT_EQ(line({"containerd", "-c", "/a"}), "/a");
  EXPECT_EQ(line({"containerd", "--log-level", "debug", "--config", "/a"}), "/a");
  EXPECT_EQ(line({"containerd", "--config=/a"}), "/a");
  EXPECT_EQ(line({"containerd", "-config=/a", "--config", "b"}), "b");
  EXPECT_EQ(line({"containerd", "--configure", "/a", "c", "config"}), std::nullopt);
  EXPECT_EQ(line({"containerd", "--config"}), std::nullopt);
  EXPECT_EQ(line({}), std::nullopt);
}

class ConfigFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hagring-config-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const auto file = root_ / path.substr(1);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  DiscardFinding find(const std::string& file, std::string_view version = "2.1.9",
                      bool optional = false) {
    return discards_in_files(root_, file, optional, version);
  }

  fs::path root_;
};

TEST_F(ConfigFilesTest, SaysWhichFileSaysSo) {
  write("/etc/c.toml", kVersion3);
  const auto found = find("/etc/c.toml");
  EXPECT_EQ(found.discards, Discards::yes);
  EXPECT_EQ(found.how, "/etc/c.toml says so");
}

TEST_F(ConfigFilesTest, AMissingDefaultFileLeavesTheDefault) {
  EXPECT_EQ(find("/etc/c.toml", "2.1.9", true).discards, Discards::no);
  const auto named = find("/etc/c.toml");
  EXPECT_EQ(named.discards, Discards::unknown);
  EXPECT_THAT(named.how, HasSubstr("/etc/c.toml can't be read"));
}

TEST_F(ConfigFilesTest, ImportsComeAfterTheirFile) {
  write("/etc/c.toml", "version = 3\nimports = ['conf.d/*.toml', '/opt/last.toml']\n");
  write("/etc/conf.d/b.toml", kVersion3);
  write("/etc/conf.d/ignored.yaml", "no TOML");
  write("/opt/last.toml",
        "version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter='x'\n");
  EXPECT_EQ(find("/etc/c.toml").how, "/etc/conf.d/b.toml says so") << "2.x merges sections";
  write("/opt/last.toml",
        "version = 3\n[plugins.'io.containerd.cri.v1.images']\ndiscard_unpacked_layers = false\n");
  EXPECT_EQ(find("/etc/c.toml").discards, Discards::no);
  EXPECT_EQ(find("/etc/c.toml").how, "/opt/last.toml says so");
}

TEST_F(ConfigFilesTest, TheFirstLineTakesTheLastSectionWhole) {
  write("/etc/c.toml", "imports = ['d.toml']\n"s + kVersion2);
  EXPECT_EQ(find("/etc/c.toml", "1.7.24").discards, Discards::unknown) << "the import is missing";
  write("/etc/d.toml", "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nx = 1\n");
  EXPECT_EQ(find("/etc/c.toml", "1.7.24").discards, Discards::no);
  write("/etc/d.toml", "version = 2\n[plugins.'io.containerd.snapshotter.v1.overlayfs']\nx = 1\n");
  EXPECT_EQ(find("/etc/c.toml", "1.7.24").discards, Discards::yes);
}

TEST_F(ConfigFilesTest, AnOlderFileIsNoAnswerForTheSecondLine) {
  write("/etc/c.toml", kVersion2);
  const auto found = find("/etc/c.toml");
  EXPECT_EQ(found.discards, Discards::unknown);
  EXPECT_THAT(found.how, HasSubstr("containerd config dump"));
}

TEST_F(ConfigFilesTest, LinksStayBelowTheRoot) {
  write("/opt/real.toml", kVersion3);
  fs::create_directories(root_ / "etc");
  fs::create_symlink("/opt/real.toml", root_ / "etc/c.toml");
  EXPECT_EQ(find("/etc/c.toml").discards, Discards::yes);
}

TEST_F(ConfigFilesTest, FilesThatImportEachOtherEnd) {
  write("/etc/c.toml", "version = 3\nimports = ['c.toml', './../etc/d.toml']\n");
  write("/etc/d.toml", "version = 3\nimports = ['c.toml']\n");
  EXPECT_EQ(find("/etc/c.toml").discards, Discards::no);
}

TEST_F(ConfigFilesTest, WhatIsNoFileIsRefused) {
  fs::create_directories(root_ / "etc/c.toml");
  EXPECT_EQ(find("/etc/c.toml").discards, Discards::unknown);
  write("/etc/large.toml", std::string(2 << 20, '#'));
  EXPECT_EQ(find("/etc/large.toml").discards, Discards::unknown);
}

TEST(DiscardsInStatus, IsWhatTheFirstLineSays) {
  // As 1.6.20 and 1.7.24 write it, much shortened.
  EXPECT_EQ(discards_in_status(R"({"containerd":{"snapshotter":"overlayfs",
      "discardUnpackedLayers":true},"registry":{"configPath":""}})"),
            true);
  EXPECT_EQ(discards_in_status(R"({"containerd":{"discardUnpackedLayers":false}})"), false);
  for (const auto* other :
       {R"({"containerd":{"defaultRuntimeName":"runc"}})", R"({"containerd":1})",
        R"({"containerd":{"discardUnpackedLayers":"true"}})", "[]", "{", ""}) {
    EXPECT_EQ(discards_in_status(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace hagring::containerd
