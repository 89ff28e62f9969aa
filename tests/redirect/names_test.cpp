// SPDX-License-Identifier: Apache-2.0
// What the hook does with queries to name servers.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/redirect/hook_lab.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::seconds;

constexpr std::uint16_t kDns = 53;

UniqueFd datagram_socket(const Endpoint& to) {
  return UniqueFd(::socket(to.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

UniqueFd bound_datagram_socket(const Endpoint& address) {
  UniqueFd fd = datagram_socket(address);
  if (::bind(fd.get(), address.data(), static_cast<socklen_t>(address.size())) != 0) {
    std::perror("bound_datagram_socket");
    return UniqueFd();
  }
  return fd;
}

bool readable(int fd, int limit_ms) {
  pollfd poll_fd{fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, limit_ms) == 1;
}

/// Asks as glibc and Go do, with a connected socket; says who is said to be the peer, and the
/// answer.
ClientProcess::Body asks(Endpoint to) {
  return [to](Conversation& parent) {
    while (!parent.hear().empty()) {
      const auto socket = datagram_socket(to);
      if (::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) {
        parent.say(std::strerror(errno));
        continue;
      }
      const auto peer = peer_name(socket.get());
      std::array<char, 64> answer{};
      Endpoint from;
      auto size = static_cast<socklen_t>(from.capacity());
      if (::send(socket.get(), "query", 5, 0) != 5 || !readable(socket.get(), 5000) ||
          ::recvfrom(socket.get(), answer.data(), answer.size(), 0, from.data(), &size) < 0) {
        parent.say(peer + " " + std::strerror(errno));
        continue;
      }
      from.resize(size);
      // Older versions of glibc compare it with whom they have asked.
      const auto source = from.address().to_string() + ":" + std::to_string(from.port());
      parent.say((source == peer ? peer : peer + " but from " + source) + " " + answer.data());
    }
  };
}

/// Asks with a socket that isn't connected; says where the answer came from, and the answer.
ClientProcess::Body asks_unconnected(Endpoint to) {
  return [to](Conversation& parent) {
    while (!parent.hear().empty()) {
      const auto socket = datagram_socket(to);
      std::array<char, 64> answer{};
      Endpoint from;
      auto size = static_cast<socklen_t>(from.capacity());
      if (::sendto(socket.get(), "query", 5, 0, to.data(), static_cast<socklen_t>(to.size())) !=
              5 ||
          !readable(socket.get(), 5000) ||
          ::recvfrom(socket.get(), answer.data(), answer.size(), 0, from.data(), &size) < 0) {
        parent.say(std::strerror(errno));
        continue;
      }
      from.resize(size);
      parent.say(from.address().to_string() + ":" + std::to_string(from.port()) + " " +
                 answer.data());
    }
  };
}

/// Answers one datagram at `fd` with `text`. False: none came.
bool answer_with(int fd, std::string_view text, int limit_ms = 5000) {
  std::array<char, 64> query{};
  Endpoint from;
  auto size = static_cast<socklen_t>(from.capacity());
  if (!readable(fd, limit_ms) ||
      ::recvfrom(fd, query.data(), query.size(), 0, from.data(), &size) < 0) {
    return false;
  }
  return ::sendto(fd, text.data(), text.size(), 0, from.data(), size) ==
         static_cast<ssize_t>(text.size());
}

struct Stub {
  explicit Stub(const std::string& loopback)
      : udp(bound_datagram_socket(at(loopback, 0))), tcp(listen_on(at(loopback, 0))) {}
  UniqueFd udp;
  UniqueFd tcp;
};

class NamesTest : public HookTest {
 protected:
  void SetUp() override {
    HookTest::SetUp();
    if (IsSkipped()) return;
    redirector_ = std::make_unique<Redirector>(options());
    start_mirror(*redirector_);
    auto attached = redirector_->attach(cgroup_->path());
    ASSERT_TRUE(attached) << attached.error().message();
    attachment_ = std::make_unique<Attachment>(std::move(*attached));
  }

  std::unique_ptr<ClientProcess> client(ClientProcess::Body body) {
    auto process = std::make_unique<ClientProcess>(cgroup_->path(), std::move(body));
    set_client(*redirector_, process->pid());
    return process;
  }

  Stub stub_for(const char* server, const std::string& loopback = "127.0.0.1") {
    Stub stub(loopback);
    const auto set = redirector_->set_name_server(asio::ip::make_address(server), stub.udp.get(),
                                                  stub.tcp.get());
    EXPECT_TRUE(set) << set.error().message();
    return stub;
  }

  /// A query to `to` reaches the server itself, for the reason that `counter_name` counts.
  void expect_asked_directly(ClientProcess& process, int server, const char* counter_name) {
    process.say("go");
    EXPECT_TRUE(answer_with(server, "direct"));
    EXPECT_THAT(process.hear(), ::testing::EndsWith(" direct"));
    EXPECT_EQ(counter(*redirector_, counter_name), 1U);
    EXPECT_EQ(counter(*redirector_, "names_redirected"), 0U);
  }

  std::unique_ptr<Redirector> redirector_;
  std::unique_ptr<Attachment> attachment_;
};

struct Server {
  const char* server;  ///< as the client writes it
  const char* listed;
  const char* loopback;
  const char* peer;
};

class AskedServerTest : public NamesTest, public ::testing::WithParamInterface<Server> {};

TEST_P(AskedServerTest, LeadsDatagramsToItsStub) {
  const auto& param = GetParam();
  const auto stub = stub_for(param.listed, param.loopback);
  auto process = client(asks(at(param.server, kDns)));
  process->say("go");
  EXPECT_TRUE(answer_with(stub.udp.get(), "stub"));
  EXPECT_EQ(process->hear(), std::string(param.peer) + ":53 stub");
  EXPECT_EQ(counter(*redirector_, "names_redirected"), 1U);
  EXPECT_EQ(counter(*redirector_, "redirected"), 0U);
}

TEST_P(AskedServerTest, LeadsDatagramsOfUnconnectedSocketsToItsStub) {
  const auto& param = GetParam();
  const auto stub = stub_for(param.listed, param.loopback);
  auto process = client(asks_unconnected(at(param.server, kDns)));
  process->say("go");
  EXPECT_TRUE(answer_with(stub.udp.get(), "stub"));
  EXPECT_EQ(process->hear(), std::string(param.peer) + ":53 stub");
  EXPECT_EQ(counter(*redirector_, "names_redirected"), 1U);
}

TEST_P(AskedServerTest, LeadsConnectionsToItsStub) {
  const auto& param = GetParam();
  const auto stub = stub_for(param.listed, param.loopback);
  const auto to = at(param.server, kDns);
  auto process = client([to](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(to);
    const int error = connect_to(socket.get(), to);
    parent.say(error == 0 ? peer_name(socket.get()) : std::strerror(error));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), std::string(param.peer) + ":53");
  EXPECT_TRUE(accept_within(stub.tcp.get(), seconds(5)));
  EXPECT_EQ(counter(*redirector_, "names_redirected"), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Servers, AskedServerTest,
    ::testing::Values(Server{kOriginV4, kOriginV4, "127.0.0.1", kOriginV4},
                      Server{kOriginV6, kOriginV6, "::1", kOriginV6},
                      Server{"::ffff:198.51.100.1", kOriginV4, "127.0.0.1", "::ffff:198.51.100.1"},
                      Server{"127.0.0.53", "127.0.0.53", "127.0.0.1", "127.0.0.53"},
                      Server{"::1", "::1", "::1", "::1"},
                      Server{"0.0.0.0", "0.0.0.0", "127.0.0.1", "0.0.0.0"},
                      // Nobody has this address, and no route leads to it.
                      Server{"203.0.113.9", "203.0.113.9", "127.0.0.1", "203.0.113.9"}),
    [](const auto& info) { return "Server" + std::to_string(info.index); });

TEST_F(NamesTest, KnowsServersApartByTheirStubs) {
  const auto first = stub_for(kOriginV4);
  const auto second = stub_for("203.0.113.9");
  auto process = client(asks(at("203.0.113.9", kDns)));
  process->say("go");
  EXPECT_TRUE(answer_with(second.udp.get(), "second"));
  EXPECT_EQ(process->hear(), "203.0.113.9:53 second");
  EXPECT_FALSE(answer_with(first.udp.get(), "first", 0));
}

TEST_F(NamesTest, LeavesAServerWithoutAStubAlone) {
  const auto stub = stub_for("203.0.113.9");
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks(at(kOriginV4, kDns)));
  expect_asked_directly(*process, server.get(), "passed_other_name_server");
}

TEST_F(NamesTest, LeavesDatagramsOfUnconnectedSocketsAloneLikeConnectedOnes) {
  const auto stub = stub_for("203.0.113.9");
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks_unconnected(at(kOriginV4, kDns)));
  const auto expect_direct = [&](const char* counter_name) {
    process->say("go");
    EXPECT_TRUE(answer_with(server.get(), "direct"));
    EXPECT_EQ(process->hear(), std::string(kOriginV4) + ":53 direct");
    EXPECT_EQ(counter(*redirector_, counter_name), 1U);
  };
  expect_direct("passed_other_name_server");
  auto of_origin = stub_for(kOriginV4);
  redirector_->remove_client(static_cast<std::uint32_t>(process->pid()));
  expect_direct("passed_other_process");
  set_client(*redirector_, process->pid());
  of_origin.udp.reset();
  expect_direct("passed_no_listener");
  EXPECT_EQ(counter(*redirector_, "names_redirected"), 0U);
}

TEST_F(NamesTest, AStubThatIsGoneLendsNobodyAServersName) {
  const auto stub = stub_for(kOriginV4);
  redirector_->remove_name_server(asio::ip::make_address(kOriginV4));
  const auto address = local_of(stub.udp.get());
  auto process = client(asks_unconnected(address));
  process->say("go");
  EXPECT_TRUE(answer_with(stub.udp.get(), "itself"));
  EXPECT_EQ(process->hear(), "127.0.0.1:" + std::to_string(address.port()) + " itself");
}

TEST_F(NamesTest, LeavesAServerThatIsNoLongerListedAlone) {
  const auto stub = stub_for(kOriginV4);
  redirector_->remove_name_server(asio::ip::make_address(kOriginV4));
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks(at(kOriginV4, kDns)));
  expect_asked_directly(*process, server.get(), "passed_other_name_server");
}

TEST_F(NamesTest, LeavesOtherPortsAlone) {
  const auto stub = stub_for(kOriginV4);
  const auto server = bound_datagram_socket(at(kOriginV4, 5353));
  auto process = client(asks(at(kOriginV4, 5353)));
  expect_asked_directly(*process, server.get(), "passed_not_tcp");
}

TEST_F(NamesTest, LeavesOtherProcessesAlone) {
  const auto stub = stub_for(kOriginV4);
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks(at(kOriginV4, kDns)));
  redirector_->remove_client(static_cast<std::uint32_t>(process->pid()));
  expect_asked_directly(*process, server.get(), "passed_other_process");
}

TEST_F(NamesTest, LeavesASocketThatIsBoundToADeviceAlone) {
  const auto stub = stub_for(kOriginV4);
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client([](Conversation& parent) {
    parent.hear();
    const auto to = at(kOriginV4, kDns);
    const auto socket = datagram_socket(to);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size()));
    ::send(socket.get(), "query", 5, 0);
    parent.say(readable(socket.get(), 5000) ? "got direct" : "got nothing");
  });
  expect_asked_directly(*process, server.get(), "passed_bound_device");
}

TEST_F(NamesTest, LeavesEverythingAloneOnceTheHeartHasStopped) {
  attachment_.reset();
  auto slow = options("stopped");
  slow.heartbeat_timeout = std::chrono::milliseconds(1);
  redirector_ = std::make_unique<Redirector>(slow);
  start_mirror(*redirector_);
  auto attached = redirector_->attach(cgroup_->path());
  ASSERT_TRUE(attached) << attached.error().message();
  attachment_ = std::make_unique<Attachment>(std::move(*attached));
  const auto stub = stub_for(kOriginV4);
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks(at(kOriginV4, kDns)));
  ::usleep(2000);  // longer than the time-out; how much doesn't matter
  expect_asked_directly(*process, server.get(), "passed_stale_heartbeat");
}

TEST_F(NamesTest, LeavesEverythingAloneOnceTheStubIsGone) {
  auto stub = stub_for(kOriginV4);
  stub.udp.reset();
  const auto server = bound_datagram_socket(at(kOriginV4, kDns));
  auto process = client(asks(at(kOriginV4, kDns)));
  expect_asked_directly(*process, server.get(), "passed_no_listener");
}

TEST_F(NamesTest, AnotherProgramAtTheStubsAddressIsNotTheStub) {
  auto stub = stub_for(kOriginV4);
  const auto address = local_of(stub.udp.get());
  for (const auto& place : {address, at("0.0.0.0", address.port())}) {
    stub.udp.reset();
    const auto foreign = bound_datagram_socket(place);
    ASSERT_TRUE(foreign);
    const auto server = bound_datagram_socket(at(kOriginV4, kDns));
    auto process = client(asks(at(kOriginV4, kDns)));
    process->say("go");
    EXPECT_TRUE(answer_with(server.get(), "direct"));
    EXPECT_EQ(process->hear(), std::string(kOriginV4) + ":53 direct");
    EXPECT_FALSE(answer_with(foreign.get(), "foreign", 0));
  }
  EXPECT_EQ(counter(*redirector_, "passed_foreign_listener"), 2U);
}

TEST_F(NamesTest, ASocketThatTurnsElsewhereIsForgotten) {
  const auto stub = stub_for(kOriginV4);
  auto process = client([](Conversation& parent) {
    parent.hear();
    const auto to = at(kOriginV4, kDns);
    const auto other = at(kHostV4, 4444);
    const auto socket = datagram_socket(to);
    ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size()));
    parent.say(peer_name(socket.get()));
    ::connect(socket.get(), other.data(), static_cast<socklen_t>(other.size()));
    parent.say(peer_name(socket.get()));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), std::string(kOriginV4) + ":53");
  EXPECT_EQ(process->hear(), std::string(kHostV4) + ":4444");
}

TEST_F(NamesTest, RefusesSocketsOfTheOtherFamily) {
  const Stub v6("::1");
  EXPECT_FALSE(
      redirector_->set_name_server(asio::ip::make_address(kOriginV4), v6.udp.get(), v6.tcp.get()));
}

TEST_F(NamesTest, TheMapIsReadable) {
  const auto stub = stub_for("127.0.0.53");
  const auto dump =
      output_of("bpftool map dump pinned " + bpf_directory_ + "/hagring/name_servers");
  EXPECT_THAT(dump, ::testing::HasSubstr("\"name_server\": \"127.0.0.53\""));
  EXPECT_THAT(dump, ::testing::HasSubstr("\"stub\": \"127.0.0.1\""));
  EXPECT_THAT(dump, ::testing::HasSubstr("\"stub_udp_port\": " +
                                         std::to_string(local_of(stub.udp.get()).port())));
}

}  // namespace
}  // namespace hagring::redirect::test
