// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/hosts_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using testing::UnorderedElementsAre;

struct HostsFolderTest : testing::Test {
  HostsFolderTest() { fs::create_directories(certs); }
  ~HostsFolderTest() override { fs::remove_all(host); }

  static std::string content(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::vector<std::string> everything() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(certs)) {
      found.push_back(entry.path().lexically_relative(certs).string());
    }
    return found;
  }

  const fs::path host = fs::path(testing::TempDir()) / ("hosts-" + std::to_string(::getpid()));
  const fs::path certs = host / "etc/certs.d";
  const HostsFolder folder{host, "/etc/certs.d"};
};

TEST_F(HostsFolderTest, GivesEachNamespaceAFileAndTakesItAwayAgain) {
  const auto placed = folder.place({"docker.io", "quay.io:8443"}, "PEM");
  ASSERT_TRUE(placed);
  EXPECT_THAT(placed->covered, UnorderedElementsAre("docker.io", "quay.io:8443"));
  EXPECT_TRUE(placed->changed);
  EXPECT_TRUE(content(certs / "docker.io/hagring-node-ca.crt").ends_with("\nPEM"));
  EXPECT_FALSE(folder.place({"docker.io", "quay.io:8443"}, "PEM")->changed);
  fs::remove_all(certs / "docker.io");  // as K3s does when it starts
  EXPECT_TRUE(folder.place({"docker.io", "quay.io:8443"}, "PEM")->changed);
  EXPECT_TRUE(folder.place({"docker.io"}, "PEM 2")->changed);
  EXPECT_EQ(*folder.remove(), 2U);
  EXPECT_THAT(everything(), UnorderedElementsAre());
  EXPECT_EQ(*folder.remove(), 0U);
}

TEST_F(HostsFolderTest, LeavesAloneWhoeverHasSettingsOfTheirOwn) {
  write(certs / "docker.io/hosts.toml", "server = \"https://mirror\"\n");
  write(certs / "quay.io/client.cert", "theirs");
  write(certs / "ghcr.io/hagring-node-ca.crt", "not ours");
  fs::create_directory_symlink("/etc/elsewhere", certs / "gcr.io");
  write(certs / "registry.example.com_5000_/hosts.toml", "");
  const auto before = everything();
  const auto placed = folder.place(
      {"docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.example.com:5000"}, "PEM");
  ASSERT_TRUE(placed);
  EXPECT_THAT(placed->covered, UnorderedElementsAre("quay.io"));
  EXPECT_EQ(*folder.remove(), 1U);
  EXPECT_EQ(everything(), before);
  EXPECT_EQ(content(certs / "ghcr.io/hagring-node-ca.crt"), "not ours");
}

TEST_F(HostsFolderTest, MakesNoDirectoryThatWouldHideTheDefault) {
  write(certs / "_default/hosts.toml", "");
  write(certs / "quay.io/theirs.crt", "theirs");
  const auto placed = folder.place({"docker.io", "quay.io"}, "PEM");
  ASSERT_TRUE(placed);
  EXPECT_THAT(placed->covered, UnorderedElementsAre("quay.io"));
  EXPECT_FALSE(fs::exists(certs / "docker.io"));
}

TEST_F(HostsFolderTest, AgentsOfOneMachineHaveFilesOfTheirOwn) {
  const HostsFolder other(host, "/etc/certs.d", "second");
  ASSERT_TRUE(folder.place({"docker.io"}, "PEM"));
  ASSERT_TRUE(other.place({"docker.io"}, "PEM 2"));
  EXPECT_FALSE(folder.place({"docker.io"}, "PEM")->changed);
  EXPECT_EQ(*folder.remove(), 1U);
  EXPECT_TRUE(fs::exists(certs / "docker.io/hagring-second.crt"));
  EXPECT_EQ(*other.remove(), 1U);
  EXPECT_FALSE(fs::exists(certs / "docker.io"));
}

TEST_F(HostsFolderTest, DirectoryThatIsNotThereIsNotMade) {
  const HostsFolder other(host, "/etc/no/such");
  EXPECT_EQ(other.place({"docker.io"}, "PEM").error(), Errc::not_found);
  EXPECT_EQ(*other.remove(), 0U);
  EXPECT_FALSE(fs::exists(host / "etc/no"));
}

TEST_F(HostsFolderTest, LinksOfTheHostStayWithinIt) {
  fs::create_directory_symlink("/etc/certs.d", host / "etc/linked");
  ASSERT_TRUE(HostsFolder(host, "/etc/linked").place({"docker.io"}, "PEM"));
  EXPECT_TRUE(fs::exists(certs / "docker.io/hagring-node-ca.crt"));
}

}  // namespace
}  // namespace hagring::proxy
