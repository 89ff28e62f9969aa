// SPDX-License-Identifier: Apache-2.0
#include "tests/dht/net/hosts.hpp"

namespace hagring::dht {
namespace {

/// Time stands still: no silent connection ends by itself.
struct HostStrangers : test::Hosts {
  HostStrangers() { clock = &manual; }
};

TEST_F(HostStrangers, SilentConnectionsOfOneAddressKeepNoMemberOut) {
  auto& host = add();
  std::vector<asio::ip::tcp::socket> silent;
  for (int i = 0; i < 70; ++i) silent.push_back(knock(host));
  ASSERT_TRUE(wait_for([&] { return host.counters().accepted == 70; }));
  EXPECT_TRUE(connect(add(), host));
  EXPECT_EQ(host.counters().refused, 0U);
}

TEST_F(HostStrangers, SilentConnectionsOfManyAddressesKeepNoMemberOut) {
  auto& host = add();
  std::vector<asio::ip::tcp::socket> silent;
  for (int i = 0; i < 70; ++i) silent.push_back(knock(host, 2 + static_cast<unsigned>(i)));
  ASSERT_TRUE(wait_for([&] { return host.counters().accepted == 70; }));
  EXPECT_TRUE(connect(add(), host));
  EXPECT_EQ(host.counters().refused, 0U);
  ASSERT_TRUE(wait_for([&] { return host.counters().failed_handshakes == 7; }));
}

}  // namespace
}  // namespace hagring::dht
