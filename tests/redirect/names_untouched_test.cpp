// SPDX-License-Identifier: Apache-2.0
// Queries that must reach the name server as if there were no hook.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/redirect/names_fixture.hpp"

namespace hagring::redirect::test {
namespace {

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
  auto brief = options("stopped");
  brief.heartbeat_timeout = std::chrono::milliseconds(1);
  attach(brief);
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

}  // namespace
}  // namespace hagring::redirect::test
