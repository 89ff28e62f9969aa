// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/sockets.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <fstream>

#include "tests/containerd/daemon.hpp"

namespace hagring::containerd {
namespace {

using Listener = boost::asio::local::stream_protocol::acceptor;

struct SocketsTest : testing::Test {
  test::TemporaryFolder folder;
  boost::asio::io_context context;
  std::vector<Listener> listeners;

  std::string listen(const std::string& path) {
    const auto full = folder.path().string() + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    listeners.emplace_back(context, boost::asio::local::stream_protocol::endpoint(full));
    return full;
  }
};

TEST_F(SocketsTest, FindsNothingWhereThereIsNone) {
  EXPECT_TRUE(find_sockets(folder.path()).empty());
  EXPECT_NE(searched_sockets().find("/run/k3s/containerd/containerd.sock"), std::string::npos);
}

TEST_F(SocketsTest, PrefersADistributionsOwnContainerd) {
  listen("/run/containerd/containerd.sock");
  const auto own = listen("/run/k3s/containerd/containerd.sock");
  const auto found = find_sockets(folder.path());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].path, own);
  EXPECT_EQ(found[0].flavour, "K3s or RKE2");
  EXPECT_EQ(found[1].flavour, "containerd");
}

TEST_F(SocketsTest, FindsK0sAndMicroK8s) {
  listen("/var/snap/microk8s/common/run/containerd.sock");
  ASSERT_EQ(find_sockets(folder.path()).size(), 1U);
  EXPECT_EQ(find_sockets(folder.path())[0].flavour, "MicroK8s");
  listen("/run/k0s/containerd.sock");
  EXPECT_EQ(find_sockets(folder.path())[0].flavour, "K0s");
}

TEST_F(SocketsTest, AFileIsNoSocket) {
  std::filesystem::create_directories(folder.path() / "run/k0s");
  std::ofstream(folder.path() / "run/k0s/containerd.sock") << "text";
  EXPECT_TRUE(find_sockets(folder.path()).empty());
}

TEST_F(SocketsTest, NamesTheListeningProcess) {
  EXPECT_EQ(listener_of(listen("/socket")), Result<pid_t>(::getpid()));
  EXPECT_FALSE(listener_of(folder.path() / "missing"));
  EXPECT_FALSE(listener_of(std::string(200, 'a')));
}

}  // namespace
}  // namespace hagring::containerd
