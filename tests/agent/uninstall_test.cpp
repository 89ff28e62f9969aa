// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/uninstall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "userspace/agent/agent_lock.hpp"
#include "userspace/agent/hosts_trust.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A node's root in a folder of its own, without a containerd.
class UninstallTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hagring-uninstall-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    config_.host_root = root_.string();
    config_.state_dir = (root_ / "var/lib/hagring").string();
    config_.pin_dir = (root_ / "pins").string();
    config_.admin_socket = (root_ / "run/hagring/hagring.sock").string();
    fs::create_directories(root_ / "etc/ssl/certs");
    for (const auto* file :
         {"ca.key", "ca.crt", "next.key", "next.crt", "identity", ".records.new", "mesh.key"}) {
      write(fs::path(config_.state_dir) / file);
    }
  }
  void TearDown() override { fs::remove_all(root_); }

  static void write(const fs::path& path, const std::string& text = "x") {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  int run(bool dry_run = false) {
    said_.str("");
    return uninstall(config_, dry_run, said_);
  }

  bool is_there(const std::string& path) const { return fs::exists(root_ / path); }

  fs::path root_;
  Config config_;
  std::ostringstream said_;
};

TEST_F(UninstallTest, TakesFilesOfRegistriesAway) {
  const auto certs = root_ / "etc/certs.d";
  const auto name = trust_store_options(config_).name;
  fs::create_directories(certs);
  write(certs / "quay.io/theirs.crt");
  ASSERT_TRUE(
      proxy::HostsFolder(root_, "/etc/certs.d", name).place({"docker.io", "quay.io"}, "PEM"));
  write(fs::path(config_.state_dir) / kHostsRecord, "/etc/certs.d\n");
  run(true);
  EXPECT_THAT(said_.str(), HasSubstr("would remove /etc/certs.d/*/hagring-" + name));
  EXPECT_TRUE(is_there("etc/certs.d/docker.io/hagring-" + name + ".crt"));
  run();
  EXPECT_FALSE(is_there("etc/certs.d/docker.io"));
  EXPECT_FALSE(is_there("etc/certs.d/quay.io/hagring-" + name + ".crt"));
  EXPECT_TRUE(is_there("etc/certs.d/quay.io/theirs.crt"));
  EXPECT_FALSE(is_there("var/lib/hagring"));
}

TEST_F(UninstallTest, TakesItsStateAway) {
  EXPECT_EQ(run(), 1) << "without a containerd there may be leases left";
  EXPECT_FALSE(is_there("var/lib/hagring"));
  EXPECT_FALSE(is_there("run/hagring"));
  EXPECT_THAT(said_.str(), HasSubstr("authority's key      removed " + config_.state_dir));
  EXPECT_THAT(said_.str(), HasSubstr("leases               FAILED: no containerd socket"));
  EXPECT_EQ(run(), 1);
  EXPECT_THAT(said_.str(), HasSubstr("state                nothing"));
}

TEST_F(UninstallTest, LeavesWhatItHasNotMade) {
  write(fs::path(config_.state_dir) / "notes.txt");
  write(root_ / "etc/ssl/certs/other.pem");
  write(root_ / "pins/config", "no BPF file system");
  EXPECT_EQ(run(), 1);
  EXPECT_TRUE(is_there("var/lib/hagring/notes.txt"));
  EXPECT_TRUE(is_there("etc/ssl/certs/other.pem"));
  EXPECT_TRUE(is_there("pins/config"));
  EXPECT_THAT(said_.str(), HasSubstr("stays, for it has what hagring hasn't made"));
}

TEST_F(UninstallTest, ADryRunRemovesNothing) {
  EXPECT_EQ(run(true), 1);
  EXPECT_THAT(said_.str(), HasSubstr("would remove " + config_.state_dir + "/ca.key"));
  EXPECT_TRUE(is_there("var/lib/hagring/ca.key"));
  EXPECT_TRUE(is_there("var/lib/hagring/.records.new"));
  EXPECT_FALSE(is_there("run/hagring"));
}

TEST_F(UninstallTest, RefusesWhileAnAgentRuns) {
  fs::create_directories(root_ / "run/hagring");
  const auto lock = hold_agent_lock(config_.admin_socket);
  EXPECT_THROW(run(), StartError);
  EXPECT_TRUE(is_there("var/lib/hagring/ca.key"));
}

}  // namespace
}  // namespace hagring::agent
