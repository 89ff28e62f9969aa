// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/multiaddr.hpp"

#include <gtest/gtest.h>

namespace hagring::dht {
namespace {

constexpr const char* kPeer = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

TEST(Multiaddr, HasTheSpecificationsBytes) {
  EXPECT_EQ(to_hex(Multiaddr::parse("/ip4/127.0.0.1/tcp/1")->to_bytes()), "047f000001060001");
  EXPECT_EQ(to_hex(Multiaddr::parse("/ip6/::1/tcp/5001")->to_bytes()),
            "29" + std::string(30, '0') + "01061389");
  EXPECT_EQ(to_hex(Multiaddr::parse("/dns4/a.b/udp/53")->to_bytes()), "3603612e6291020035");
  const auto with_peer = Multiaddr::parse(std::string("/ip4/1.2.3.4/tcp/5001/p2p/") + kPeer);
  EXPECT_TRUE(to_hex(with_peer->to_bytes()).starts_with("0401020304061389a50326002408011220"));
}

TEST(Multiaddr, ReadsWhatItWrites) {
  for (const std::string& text :
       {std::string("/ip4/10.0.0.1/tcp/5001"), std::string("/ip6/fd00::1/tcp/5001"),
        std::string("/dns/node.example/tcp/80"), std::string("/dnsaddr/node.example"),
        std::string("/ip4/10.0.0.1/udp/4001/quic-v1"),
        std::string("/ip4/1.2.3.4/tcp/5001/p2p/") + kPeer,
        std::string("/ip4/1.2.3.4/tcp/5001/p2p/") + kPeer + "/p2p-circuit"}) {
    const auto parsed = Multiaddr::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->to_string(), text);
    const auto again = Multiaddr::from_bytes(parsed->to_bytes());
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(*again, *parsed);
  }
}

TEST(Multiaddr, SaysWhatCanBeDialled) {
  const auto endpoint =
      Multiaddr::parse(std::string("/ip4/1.2.3.4/tcp/5001/p2p/") + kPeer)->tcp_endpoint();
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->address().to_string(), "1.2.3.4");
  EXPECT_EQ(endpoint->port(), 5001);
  EXPECT_EQ(Multiaddr::parse("/dns4/a.b/tcp/80")->tcp_name(),
            std::pair(std::string("a.b"), std::uint16_t{80}));
  for (const auto* text : {"/ip4/1.2.3.4/udp/5001", "/ip4/1.2.3.4/tcp/5001/ws", "/ip4/1.2.3.4",
                           "/ip4/1.2.3.4/udp/4001/quic-v1"}) {
    EXPECT_FALSE(Multiaddr::parse(text)->tcp_endpoint()) << text;
    EXPECT_FALSE(Multiaddr::parse(text)->tcp_name()) << text;
  }
}

TEST(Multiaddr, TakesThePeerOffAndPutsItOn) {
  const auto bare = *Multiaddr::parse("/ip4/1.2.3.4/tcp/5001");
  const auto peer = *PeerId::parse(kPeer);
  const auto full = bare.with_peer(peer);
  EXPECT_EQ(full.peer(), peer);
  EXPECT_EQ(full.with_peer(peer), full);
  EXPECT_EQ(full.without_peer(), bare);
  EXPECT_EQ(bare.without_peer(), bare);
  EXPECT_EQ(Multiaddr::of(*bare.tcp_endpoint()), bare);
}

TEST(Multiaddr, WritesAMappedAddressAsIp4) {
  const asio::ip::tcp::endpoint mapped(asio::ip::make_address("::ffff:10.0.0.1"), 80);
  EXPECT_EQ(Multiaddr::of(mapped).to_string(), "/ip4/10.0.0.1/tcp/80");
}

TEST(Multiaddr, RefusesMalformedText) {
  for (const auto* text : {"", "ip4/1.2.3.4", "/", "//", "/ip4", "/ip4/", "/ip4/1.2.3",
                           "/tcp/65536", "/tcp/-1", "/tcp/1x", "/ip6/fe80::1%1", "/p2p/x", "/dns/",
                           "/dns/a b", "/unknown/1", "/ip4/1.2.3.4/"}) {
    EXPECT_FALSE(Multiaddr::parse(text)) << text;
  }
}

TEST(Multiaddr, RefusesMalformedBytes) {
  const auto whole = Multiaddr::parse(std::string("/dns/a.b/tcp/1/p2p/") + kPeer)->to_bytes();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const auto part = Multiaddr::from_bytes(ByteView(whole).first(cut));
    // Only where a part ends is what stands before it an address.
    EXPECT_TRUE(!part || cut == 5 || cut == 8) << cut;
  }
  EXPECT_EQ(Multiaddr::from_bytes(*from_hex("7f00")).error(), Errc::unsupported);
  EXPECT_EQ(Multiaddr::from_bytes(*from_hex("36012f")).error(),
            Errc::bad_message);  // a slash in a name
  EXPECT_EQ(Multiaddr::from_bytes(Bytes(1025)).error(), Errc::too_large);
  Bytes many;
  for (int i = 0; i < 17; ++i) many.insert(many.end(), {6, 0, 1});
  EXPECT_EQ(Multiaddr::from_bytes(many).error(), Errc::too_large);
}

}  // namespace
}  // namespace hagring::dht
