// SPDX-License-Identifier: Apache-2.0
#include "dht/mesh_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace hagring::dht {
namespace {

const std::string kDigits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct MeshKeyFile : testing::Test {
  MeshKeyFile() {
    std::string name = testing::TempDir() + "mesh-key-XXXXXX";
    folder = ::mkdtemp(name.data());
    path = folder / "mesh.key";
  }
  ~MeshKeyFile() override { std::filesystem::remove_all(folder); }

  void put(const std::filesystem::path& where, std::string_view text, mode_t mode) {
    std::ofstream(where, std::ios::binary) << text;
    ::chmod(where.c_str(), mode);
  }
  std::string text() {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// What the operator is told; empty if the key was taken.
  std::string refusal() {
    try {
      load_or_create_mesh_key(path);
      return "";
    } catch (const StartError& error) {
      return error.what();
    }
  }

  std::filesystem::path folder, path;
};

TEST_F(MeshKeyFile, IsMadeOnceForItsOwnerOnlyInSwarmKeysForm) {
  const auto key = load_or_create_mesh_key(path);
  EXPECT_EQ(text(), "/key/swarm/psk/1.0.0/\n/base16/\n" + to_hex(key) + "\n");
  EXPECT_EQ(parse_network_key(text()), key);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(load_or_create_mesh_key(path), key);
  std::filesystem::remove(path);
  EXPECT_NE(load_or_create_mesh_key(path), key);
}

TEST_F(MeshKeyFile, ThatMustBeThereIsNotMade) {
  EXPECT_THROW(load_mesh_key(path), StartError);
  EXPECT_FALSE(std::filesystem::exists(path));
  put(path, kDigits, 0600);
  EXPECT_EQ(load_mesh_key(path), load_or_create_mesh_key(path));
}

TEST_F(MeshKeyFile, BothFormsAreRead) {
  const auto key = *parse_network_key(kDigits);
  for (const auto& form :
       {kDigits, kDigits + "\n", "/key/swarm/psk/1.0.0/\n/base16/\n" + kDigits + "\n"}) {
    put(path, form, 0400);
    EXPECT_EQ(load_or_create_mesh_key(path), key) << form;
  }
}

TEST_F(MeshKeyFile, IsNeverReplacedNorShownWhenItIsWrong) {
  for (const auto& wrong : {std::string(), kDigits.substr(2), kDigits + "00",
                            "/key/swarm/psk/2.0.0/\n/base16/\n" + kDigits, "x" + kDigits}) {
    put(path, wrong, 0600);
    const auto told = refusal();
    EXPECT_THAT(told, testing::HasSubstr("swarm.key")) << wrong;
    EXPECT_THAT(told, testing::HasSubstr(path.string()));
    EXPECT_THAT(told, testing::Not(testing::HasSubstr(kDigits.substr(4, 40))));
    EXPECT_EQ(text(), wrong);
  }
}

TEST_F(MeshKeyFile, ItsGroupMayReadItAndNobodyElse) {
  for (const mode_t mode : {0400U, 0440U, 0640U}) {
    put(path, kDigits, mode);
    EXPECT_EQ(refusal(), "") << std::oct << mode;
    std::filesystem::remove(path);
  }
  for (const mode_t mode : {0644U, 0604U, 0602U, 0601U}) {
    put(path, kDigits, mode);
    EXPECT_THAT(refusal(), testing::HasSubstr("defaultMode 0400")) << std::oct << mode;
  }
}

// Kubernetes mounts a Secret as `mesh.key -> ..data/mesh.key`, `..data -> ..<time>`.
TEST_F(MeshKeyFile, LinksAreFollowedToTheFileWhoseModeCounts) {
  std::filesystem::create_directory(folder / "..time");
  std::filesystem::create_directory_symlink("..time", folder / "..data");
  std::filesystem::create_symlink("..data/mesh.key", path);
  put(folder / "..time" / "mesh.key", kDigits, 0400);
  EXPECT_EQ(load_or_create_mesh_key(path), *parse_network_key(kDigits));
  ::chmod((folder / "..time" / "mesh.key").c_str(), 0444);
  EXPECT_THAT(refusal(), testing::HasSubstr("defaultMode 0400"));
}

TEST_F(MeshKeyFile, WhatIsNoFileIsNotReplaced) {
  std::filesystem::create_symlink("nowhere", path);
  EXPECT_THAT(refusal(), testing::HasSubstr("can't be read"));
  EXPECT_TRUE(std::filesystem::is_symlink(path));
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_THAT(refusal(), testing::HasSubstr("can't be read"));
  std::filesystem::remove(path);
  path = folder / "missing" / "mesh.key";
  EXPECT_THAT(refusal(), testing::HasSubstr("make its directory"));
}

}  // namespace
}  // namespace hagring::dht
