// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// A host's file system in a directory of its own.
struct TrustStoreTest : testing::Test {
  TrustStoreTest() { fs::create_directories(certificates); }
  ~TrustStoreTest() override { fs::remove_all(host); }

  static std::string content(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::vector<std::string> names(const fs::path& directory) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      found.push_back(entry.path().filename().string());
    }
    return found;
  }

  fs::path host = fs::path(testing::TempDir()) / ("trust-store-" + std::to_string(::getpid()));
  fs::path certificates = host / "etc/ssl/certs";
  fs::path file = certificates / "hagring-node-ca.pem";
  TrustStore store{TrustStoreOptions{.host = host}};
};

TEST_F(TrustStoreTest, InstallsOneFileThatAnyoneMayRead) {
  ASSERT_TRUE(store.install("PEM"));
  EXPECT_THAT(names(certificates), UnorderedElementsAre("hagring-node-ca.pem"));
  EXPECT_TRUE(content(file).ends_with("\nPEM"));
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644U);
  EXPECT_EQ(store.path(), "/etc/ssl/certs/hagring-node-ca.pem");
}

TEST_F(TrustStoreTest, WritesOnlyWhatDiffers) {
  ASSERT_TRUE(store.install("PEM"));
  struct stat before{}, after{};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  ASSERT_TRUE(store.install("PEM"));
  ASSERT_EQ(::stat(file.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  ASSERT_TRUE(store.install("PEM 2"));
  EXPECT_TRUE(content(file).ends_with("\nPEM 2"));
}

TEST_F(TrustStoreTest, TellsSinceWhenItIsThere) {
  EXPECT_EQ(store.installed_at().error(), Errc::not_found);
  ASSERT_TRUE(store.install("PEM"));
  const auto when = store.installed_at();
  ASSERT_TRUE(when);
  EXPECT_LT(std::chrono::abs(std::chrono::system_clock::now() - *when), std::chrono::minutes(1));
}

TEST_F(TrustStoreTest, RemovesTheFileAndTheLinksToItAndNothingElse) {
  ASSERT_TRUE(store.install("PEM"));
  std::ofstream(certificates / "other.pem") << "other";
  std::ofstream(certificates / "01234567.5") << "a file";
  fs::create_symlink("hagring-node-ca.pem", certificates / "0a1b2c3d.0");
  fs::create_symlink("/etc/ssl/certs/hagring-node-ca.pem", certificates / "0a1b2c3d.12");
  fs::create_symlink("other.pem", certificates / "89abcdef.0");
  fs::create_symlink("hagring-node-ca.pem", certificates / "somebodys-link.pem");
  ASSERT_TRUE(store.remove());
  EXPECT_THAT(names(certificates),
              UnorderedElementsAre("other.pem", "01234567.5", "89abcdef.0", "somebodys-link.pem"));
  ASSERT_TRUE(store.remove());
}

TEST_F(TrustStoreTest, RemovesLinksThatHaveOutlivedTheFile) {
  fs::create_symlink("hagring-node-ca.pem", certificates / "0a1b2c3d.0");
  ASSERT_TRUE(store.remove());
  EXPECT_THAT(names(certificates), UnorderedElementsAre());
}

TEST_F(TrustStoreTest, LeavesWhatIsNotOursAlone) {
  const auto expect_left_alone = [&] {
    EXPECT_EQ(store.install("PEM").error(), TrustErrc::not_ours);
    EXPECT_EQ(store.remove().error(), TrustErrc::not_ours);
  };
  std::ofstream(file) << "an operator's";
  expect_left_alone();
  EXPECT_EQ(content(file), "an operator's");
  fs::remove(file);
  std::ofstream(host / "elsewhere") << "# Made by hagring";
  fs::create_symlink(host / "elsewhere", file);
  expect_left_alone();
  EXPECT_TRUE(fs::is_symlink(file));
  fs::remove(file);
  fs::create_directory(file);
  expect_left_alone();
}

TEST_F(TrustStoreTest, TakesTheDirectoryThatTheHostHas) {
  fs::remove_all(host / "etc/ssl");
  EXPECT_EQ(store.install("PEM").error(), TrustErrc::no_directory);
  fs::create_directories(host / "etc/pki/tls/certs");
  ASSERT_TRUE(store.install("PEM"));
  EXPECT_EQ(store.path(), "/etc/pki/tls/certs/hagring-node-ca.pem");
  EXPECT_THAT(names(host / "etc/pki/tls/certs"), UnorderedElementsAre("hagring-node-ca.pem"));
}

TEST_F(TrustStoreTest, FollowsTheHostsLinksWithinTheHost) {
  // As on Fedora and RHEL; without care it would lead to this machine's own directory.
  fs::remove(certificates);
  fs::create_directories(host / "etc/pki/tls/certs");
  fs::create_directory_symlink("/etc/pki/tls/certs", certificates);
  ASSERT_TRUE(store.install("PEM"));
  EXPECT_THAT(names(host / "etc/pki/tls/certs"), UnorderedElementsAre("hagring-node-ca.pem"));
}

TEST_F(TrustStoreTest, UsesTheDirectoryAndNameThatItIsTold) {
  fs::create_directories(host / "opt/certs");
  TrustStore other({.host = host, .directory = "/opt/certs", .name = "k3s"});
  ASSERT_TRUE(other.install("PEM"));
  EXPECT_THAT(names(host / "opt/certs"), UnorderedElementsAre("hagring-k3s.pem"));
  EXPECT_THROW(TrustStore({.name = "../x"}), StartError);
}

TEST_F(TrustStoreTest, ReadOnlyDirectoryIsTheOperatorsToKnow) {
  // A mount of its own, in a process of its own.
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", certificates.c_str(), "tmpfs", MS_RDONLY, nullptr) != 0) {
      ::_exit(2);
    }
    ::_exit(store.install("PEM").error() == TrustErrc::read_only && store.remove() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "SKIPPED: needs root for a read-only mount";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_THAT(make_error_code(TrustErrc::read_only).message(),
              testing::AllOf(HasSubstr("read-only"), HasSubstr("spliced")));
}

}  // namespace
}  // namespace hagring::proxy
