// SPDX-License-Identifier: Apache-2.0
// In a network namespace of the test's own, which goes with its process.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/run.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;
using tcp = asio::ip::tcp;

struct TwoAddresses : Resolver {
  awaitable<Result<Addresses>> resolve(std::string) override {
    co_return Addresses{asio::ip::make_address("fd00:dead::2"),
                        asio::ip::make_address("127.0.0.1")};
  }
};

/// A namespace with a device that swallows what is sent to fd00:dead::/64.
bool enter_black_hole() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  for (const auto* command :
       {"ip link set lo up", "ip link add hole type veth peer name pit", "ip link set hole up",
        "ip link set pit up", "ip -6 addr add fd00:dead::1/64 dev hole nodad",
        // Nobody has this address: the frames arrive and are dropped.
        "ip -6 neigh add fd00:dead::2 lladdr 02:00:00:00:de:ad dev hole"}) {
    if (std::system(command) != 0) return false;
  }
  return true;
}

TEST(BlackHole, PreferredIpv6AddressLosesToIpv4AfterTheHeadStart) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: makes a network namespace";
  ASSERT_TRUE(enter_black_hole());
  asio::io_context context;
  tcp::acceptor good(context, {asio::ip::address_v4::loopback(), 0});
  const auto port = good.local_endpoint().port();
  const tcp::endpoint hole{asio::ip::make_address("fd00:dead::2"), port};
  TwoAddresses resolver;
  SystemConnector connector;
  {
    // The hole is one: alone it only times out.
    RacingDialer dialer(resolver, connector, {.deadline = 500ms});
    EXPECT_EQ(test::run(context, dialer.dial({hole, {}, port})).error(), Errc::timed_out);
  }
  RacingDialer dialer(resolver, connector, {});
  const auto begun = std::chrono::steady_clock::now();
  const auto socket = test::run(context, dialer.dial({hole, "registry.test", port}));
  const auto elapsed = std::chrono::steady_clock::now() - begun;
  ASSERT_TRUE(socket) << socket.error().message();
  EXPECT_TRUE(socket->remote_endpoint().address().is_v4());
  EXPECT_GE(elapsed, 300ms);
  EXPECT_LT(elapsed, 1s);
}

}  // namespace
}  // namespace hagring
