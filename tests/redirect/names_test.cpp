// SPDX-License-Identifier: Apache-2.0
// Queries to name servers that have a stub.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/redirect/names_fixture.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::seconds;

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
