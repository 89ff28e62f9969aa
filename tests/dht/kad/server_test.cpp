// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/server.hpp"

#include <gtest/gtest.h>

#include "dht/sim/peers.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;

class KadServer : public testing::Test {
 protected:
  KadServer() {
    for (std::uint32_t i = 1; i <= 100; ++i) table.admit(numbered_peer(i), clock.now());
  }

  static Message request(MessageType type, Bytes key = content_wire_key("sha256:aa")) {
    Message message;
    message.type = type;
    message.key = std::move(key);
    return message;
  }

  Message answer(const Message& message, std::uint32_t sender = 500) {
    return server.handle(numbered_peer(sender).id, message).value().value();
  }

  hagring::test::ManualClock clock;
  Rng rng{1};
  RoutingTable table{numbered_peer(0).id, {}};
  ProviderStore store{clock, {}};
  OwnKeys own;
  ServerOptions options{
      .allowed = [](const Multiaddr& address) { return address.ip()[0] == 10; },
      .own_addresses = [] { return numbered_peer(0).addresses; },
  };
  Server server{rng, table, store, own, options};
};

TEST_F(KadServer, NamesTheNearestButNotTheAsker) {
  const PeerId asked = table.peers()[3].id;
  const Bytes key(asked.bytes().begin(), asked.bytes().end());
  const Message reply = answer(request(MessageType::find_node, key));
  EXPECT_EQ(reply.type, MessageType::find_node);
  EXPECT_TRUE(reply.key.empty());
  ASSERT_EQ(reply.closer_peers.size(), 20);
  EXPECT_EQ(reply.closer_peers[0].id, asked);
  const auto own_reply = server.handle(asked, request(MessageType::find_node, key));
  for (const PeerInfo& peer : own_reply.value()->closer_peers) EXPECT_NE(peer.id, asked);
}

TEST_F(KadServer, TakesProvidersFromThemselvesOnly) {
  Message add = request(MessageType::add_provider);
  EXPECT_EQ(server.handle(numbered_peer(500).id, add).error(), Errc::bad_message);
  add.provider_peers = {numbered_peer(501), numbered_peer(502)};
  EXPECT_EQ(server.handle(numbered_peer(500).id, add).error(), Errc::bad_message);
  add.provider_peers.push_back(numbered_peer(500));
  const auto taken = server.handle(numbered_peer(500).id, add);
  ASSERT_TRUE(taken);
  EXPECT_FALSE(*taken);
  const Message reply = answer(request(MessageType::get_providers), 600);
  EXPECT_EQ(reply.key, content_wire_key("sha256:aa"));
  EXPECT_EQ(reply.provider_peers, std::vector{numbered_peer(500)});
  EXPECT_EQ(reply.closer_peers.size(), 20);
  EXPECT_TRUE(answer(request(MessageType::get_providers), 500).provider_peers.empty());
}

TEST_F(KadServer, TakesNoForbiddenAddress) {
  Message add = request(MessageType::add_provider);
  PeerInfo provider = numbered_peer(500);
  provider.addresses = {Multiaddr(*from_hex("047f000001060001"))};
  add.provider_peers = {provider};
  EXPECT_EQ(server.handle(provider.id, add).error(), Errc::bad_message);
  provider.addresses.push_back(numbered_peer(500).addresses[0]);
  add.provider_peers = {provider};
  ASSERT_TRUE(server.handle(provider.id, add));
  EXPECT_EQ(answer(request(MessageType::get_providers)).provider_peers.size(), 0);
  EXPECT_EQ(answer(request(MessageType::get_providers), 1).provider_peers,
            std::vector{numbered_peer(500)});
}

TEST_F(KadServer, ProvidesItsOwnKeys) {
  const Message get = request(MessageType::get_providers);
  own[Key::of(get.key)].wire_key = get.key;
  EXPECT_EQ(answer(get).provider_peers, std::vector{numbered_peer(0)});
  own.clear();
  EXPECT_TRUE(answer(get).provider_peers.empty());
}

TEST_F(KadServer, NamesAChoiceOfManyProviders) {
  const Message get = request(MessageType::get_providers);
  for (std::uint32_t i = 1000; i < 1200; ++i) store.add(Key::of(get.key), numbered_peer(i));
  const auto first = answer(get).provider_peers;
  const auto second = answer(get).provider_peers;
  EXPECT_EQ(first.size(), 64);
  EXPECT_NE(first, second);
}

TEST_F(KadServer, EchoesPings) {
  EXPECT_EQ(answer(request(MessageType::ping)), request(MessageType::ping));
}

TEST_F(KadServer, RefusesWhatSpegelNeverSends) {
  const PeerId sender = numbered_peer(500).id;
  for (const auto type : {MessageType::put_value, MessageType::get_value}) {
    EXPECT_EQ(server.handle(sender, request(type)).error(), Errc::unsupported);
  }
  for (const auto type :
       {MessageType::find_node, MessageType::get_providers, MessageType::add_provider}) {
    EXPECT_EQ(server.handle(sender, request(type, {})).error(), Errc::bad_message);
  }
  const Bytes longest(kMaxProviderKeySize + 1, 1);
  EXPECT_EQ(server.handle(sender, request(MessageType::get_providers, longest)).error(),
            Errc::bad_message);
  EXPECT_EQ(server.handle(sender, request(MessageType::add_provider, longest)).error(),
            Errc::bad_message);
  EXPECT_TRUE(server.handle(sender, request(MessageType::find_node, longest)));
}

}  // namespace
}  // namespace hagring::kad
