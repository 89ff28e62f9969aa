// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/closed_first.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "userspace/base/unique_fd.hpp"

namespace hagring {
namespace {

constexpr int kConnections = 300;
constexpr int kRounds = 5;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(client.get(), name, sizeof(address)) != 0) client.reset();
  return client;
}

/// A process that accepts, and is killed.
class Server {
 public:
  Server() {
    int pipe[2];
    if (::pipe(pipe) != 0) ADD_FAILURE();
    pid_ = ::fork();
    if (pid_ == 0) serve(pipe[1]);
    ::close(pipe[1]);
    EXPECT_EQ(::read(pipe[0], &port_, sizeof(port_)), static_cast<ssize_t>(sizeof(port_)));
    ::close(pipe[0]);
  }
  ~Server() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return port_; }
  void kill() const { ::kill(pid_, SIGKILL); }

 private:
  [[noreturn]] static void serve(int tell) {
    const int listener = closed_first(::socket(AF_INET, SOCK_STREAM, 0));
    auto address = loopback(0);
    socklen_t size = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener, name, size) != 0 || ::listen(listener, 1024) != 0 ||
        ::getsockname(listener, name, &size) != 0) {
      ::_exit(1);
    }
    const std::uint16_t port = ntohs(address.sin_port);
    if (::write(tell, &port, sizeof(port)) < 0) ::_exit(1);
    for (int i = 0; i < kConnections; ++i) {
      const int client = ::accept(listener, nullptr, nullptr);
      if (client < 0 || ::write(client, "x", 1) != 1) ::_exit(1);
    }
    while (true) ::pause();
  }

  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

TEST(ClosedFirst, WhoSeesAnEndFindsNoListener) {
  for (int round = 0; round < kRounds; ++round) {
    const Server server;
    std::vector<UniqueFd> clients;
    std::vector<pollfd> polled;
    for (int i = 0; i < kConnections; ++i) {
      clients.push_back(connect_to(server.port()));
      char accepted = 0;
      ASSERT_EQ(::read(clients.back().get(), &accepted, 1), 1);
      polled.push_back({.fd = clients.back().get(), .events = POLLIN, .revents = 0});
    }
    server.kill();
    ASSERT_GT(::poll(polled.data(), polled.size(), 10'000), 0);
    EXPECT_FALSE(connect_to(server.port())) << "round " << round;
  }
}

/// Numbers that the process's table of descriptors has room for (proc(5), status, FDSize).
long table_size() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "FDSize:" && status >> word) return std::stol(word);
  }
  return 0;
}

TEST(ClosedFirst, ATableWithRoomNeedNotGrow) {
  make_room_for_closed_first();
  const auto before = table_size();
  const int fd = closed_first(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_LT(fd, before);
  EXPECT_EQ(table_size(), before);
  ::close(fd);
}

TEST(ClosedFirst, AnAcceptorGoesOnAccepting) {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  const int before = acceptor.native_handle();
  ASSERT_FALSE(close_first(acceptor));
  EXPECT_GT(acceptor.native_handle(), before);
  bool accepted = false;
  acceptor.async_accept([&](error_code error, auto) { accepted = !error; });
  const auto client = connect_to(acceptor.local_endpoint().port());
  ASSERT_TRUE(client);
  context.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(accepted);
}

}  // namespace
}  // namespace hagring
