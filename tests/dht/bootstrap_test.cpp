// SPDX-License-Identifier: Apache-2.0
#include "dht/bootstrap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;
using tcp = asio::ip::tcp;

constexpr const char* kPeer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

tcp::endpoint at(const std::string& address, std::uint16_t port = 5001) {
  return {asio::ip::make_address(address), port};
}

Multiaddr parse(const std::string& text) { return Multiaddr::parse(text).value(); }

BootstrapPeer place(const std::string& address, std::uint16_t port = 5001) {
  return {at(address, port), std::nullopt};
}

/// A resolver over a table, with the real one's threads.
SystemResolver::Lookup table(std::map<std::string, std::vector<std::string>> names) {
  return [names](const std::string& name) -> Result<Resolver::Addresses> {
    const auto found = names.find(name);
    if (found == names.end()) return Errc::not_found;
    Resolver::Addresses addresses;
    for (const auto& text : found->second) addresses.push_back(asio::ip::make_address(text));
    return addresses;
  };
}

struct BootstrapTest : testing::Test {
  std::vector<BootstrapPeer> gather(BootstrapOptions options) {
    Bootstrap bootstrap(context.get_executor(), clock, resolver, dialer, std::move(options));
    return test::run(context, bootstrap.gather());
  }

  /// Answers one request at `acceptor` with `status` and `body`.
  awaitable<void> answer(tcp::acceptor& acceptor, unsigned status, std::string body) {
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (error) co_return;
    http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
    const auto request = co_await connection.read_request();
    if (request) target = request->target;
    http::Response response;
    response.status = status;
    co_await connection.write_response_with(std::move(response), std::move(body));
  }

  std::vector<BootstrapPeer> gather_from_http(
      unsigned status, const std::string& body,
      std::function<bool(const asio::ip::address&)> allowed = {}) {
    tcp::acceptor acceptor(context, at("127.0.0.1", 0));
    TaskGroup server(context.get_executor(), "http");
    server.spawn([&] { return answer(acceptor, status, body); });
    BootstrapOptions options;
    options.urls = {{"http", "127.0.0.1", acceptor.local_endpoint().port(), "/id"}};
    options.may_dial = std::move(allowed);
    auto found = gather(std::move(options));
    test::run(context, server.drain());
    return found;
  }

  asio::io_context context;
  SystemClock clock;
  SystemResolver resolver{{},
                          table({{"nodes.test", {"192.0.2.1", "192.0.2.2", "2001:db8::3"}},
                                 {"many.test", std::vector<std::string>(1, "192.0.2.9")}})};
  SystemConnector connector;
  RacingDialer dialer{resolver, connector, {}};
  std::string target;
};

TEST_F(BootstrapTest, AddressesAreThemselves) {
  EXPECT_THAT(
      gather({.peers = {parse("/ip4/192.0.2.7/tcp/5001"), parse("/ip6/2001:db8::7/tcp/1")}}),
      UnorderedElementsAre(place("192.0.2.7"), place("2001:db8::7", 1)));
}

TEST_F(BootstrapTest, ANamedPeerMustBeThatPeer) {
  const auto found =
      gather({.peers = {parse(std::string("/ip4/192.0.2.7/tcp/5001/p2p/") + kPeer)}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].peer, PeerId::parse(kPeer));
}

TEST_F(BootstrapTest, ANameIsAllOfItsAddresses) {
  EXPECT_THAT(gather({.peers = {parse("/dns/nodes.test/tcp/5001")}}),
              UnorderedElementsAre(place("192.0.2.1"), place("192.0.2.2"), place("2001:db8::3")));
  EXPECT_THAT(gather({.peers = {parse("/dns6/nodes.test/tcp/7")}}),
              ElementsAre(place("2001:db8::3", 7)));
  EXPECT_THAT(gather({.peers = {parse("/dns4/nodes.test/tcp/7")}}),
              UnorderedElementsAre(place("192.0.2.1", 7), place("192.0.2.2", 7)));
}

TEST_F(BootstrapTest, ANameThatDoesNotResolveHidesNoOther) {
  EXPECT_THAT(gather({.peers = {parse("/dns/gone.test/tcp/5001"), parse("/dns/many.test/tcp/5001"),
                                parse("/ip4/192.0.2.9/tcp/5001")}}),
              ElementsAre(place("192.0.2.9")));
}

TEST_F(BootstrapTest, HttpNamesPeersAsSpegelDoes) {
  const auto found = gather_from_http(
      200, std::string(R"([{"ID":")") + kPeer +
               R"(","Addrs":["/ip4/192.0.2.7/tcp/5001","/ip4/192.0.2.7/udp/5001/quic-v1"]}])");
  EXPECT_EQ(target, "/id");
  EXPECT_THAT(found, ElementsAre(BootstrapPeer{at("192.0.2.7"), PeerId::parse(kPeer)}));
}

TEST_F(BootstrapTest, HttpCanNotNameAddressesOutsideTheMesh) {
  const auto body = std::string(R"([{"ID":")") + kPeer +
                    R"(","Addrs":["/ip4/127.0.0.1/tcp/22","/ip4/192.0.2.7/tcp/5001"]}])";
  const auto found = gather_from_http(
      200, body, [](const asio::ip::address& address) { return !address.is_loopback(); });
  EXPECT_THAT(found, ElementsAre(BootstrapPeer{at("192.0.2.7"), PeerId::parse(kPeer)}));
}

TEST_F(BootstrapTest, HttpThatFailsNamesNobody) {
  EXPECT_TRUE(gather_from_http(404, "[]").empty());
  EXPECT_TRUE(gather_from_http(200, "<html>").empty());
  EXPECT_TRUE(gather_from_http(200, std::string(1 << 20, '[')).empty());
}

TEST_F(BootstrapTest, ASourceThatHangsIsLeftAtTheLimit) {
  tcp::acceptor silent(context, at("127.0.0.1", 0));
  BootstrapOptions options{.peers = {parse("/ip4/192.0.2.7/tcp/5001")}, .limit = 50ms};
  options.urls = {{"http", "127.0.0.1", silent.local_endpoint().port(), "/id"}};
  EXPECT_THAT(gather(std::move(options)), ElementsAre(place("192.0.2.7")));
}

TEST_F(BootstrapTest, StopEndsAGatheringUnderWay) {
  tcp::acceptor silent(context, at("127.0.0.1", 0));
  BootstrapOptions options{.limit = 1h};
  options.urls = {{"http", "127.0.0.1", silent.local_endpoint().port(), "/id"}};
  Bootstrap bootstrap(context.get_executor(), clock, resolver, dialer, std::move(options));
  TaskGroup gathering(context.get_executor(), "gathering");
  std::vector<BootstrapPeer> found{place("192.0.2.7")};
  gathering.spawn([&]() -> awaitable<void> { found = co_await bootstrap.gather(); });
  context.poll();
  bootstrap.stop();
  test::run(context, gathering.drain());
  EXPECT_TRUE(found.empty());
  EXPECT_TRUE(test::run(context, bootstrap.gather()).empty());
}

TEST(BootstrapPeers, ListsOfOddShapesAreReadAsFarAsTheyGo) {
  for (const auto* none :
       {"", "{}", "null", "[1]", "[{}]", R"([{"ID":"x","Addrs":["/ip4/192.0.2.7/tcp/1"]}])",
        R"([{"ID":7,"Addrs":[]}])"}) {
    const auto peers = parse_bootstrap_peers(none, 8);
    EXPECT_TRUE(!peers || peers->empty()) << none;
  }
  EXPECT_EQ(parse_bootstrap_peers("{}", 8).error(), Errc::bad_message);
}

TEST(BootstrapPeers, AListCanNotNameMoreThanItMay) {
  std::string addresses;
  for (int i = 0; i < 1000; ++i)
    addresses += "\"/ip4/192.0.2.7/tcp/" + std::to_string(i + 1) + "\",";
  addresses.pop_back();
  const auto list = std::string(R"([{"ID":")") + kPeer + R"(","Addrs":[)" + addresses + "]}]";
  EXPECT_EQ(parse_bootstrap_peers(list, 8)->size(), 8U);
}

}  // namespace
}  // namespace hagring::dht
