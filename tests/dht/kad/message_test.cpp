// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/message.hpp"

#include <gtest/gtest.h>

namespace hagring::kad {
namespace {

PeerInfo peer(std::uint8_t number) {
  Bytes id(38, number);
  id[0] = 0;
  id[1] = 36;
  return {*PeerId::from_bytes(id), {Multiaddr(*from_hex("047f000001060001"))}};
}

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// The shape that js-libp2p and go-libp2p put on the wire for ADD_PROVIDER (after the length 5c).
TEST(Message, WritesAddProviderAsOthersDo) {
  Message message;
  message.type = MessageType::add_provider;
  message.key = Bytes(34, 7);
  message.provider_peers = {peer(1)};
  const Bytes bytes = encode(message);
  EXPECT_EQ(bytes.size(), 0x5c);
  EXPECT_EQ(to_hex(bytes).substr(0, 8), "08021222");
  EXPECT_EQ(to_hex(bytes).substr(76, 8), "4a320a26");
  EXPECT_EQ(to_hex(bytes).substr(160), "1208047f0000010600015001");
}

TEST(Message, ComesBackAsItWas) {
  Message message;
  message.type = MessageType::get_providers;
  message.key = Bytes(34, 9);
  message.closer_peers = {peer(1), peer(2)};
  message.provider_peers = {peer(3)};
  message.provider_peers[0].addresses.clear();
  const auto read = decode_message(encode(message));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, message);
}

TEST(Message, EveryCutIsAnErrorOrAShorterMessage) {
  Message message;
  message.type = MessageType::find_node;
  message.key = Bytes(34, 9);
  message.closer_peers = {peer(1), peer(2)};
  const Bytes bytes = encode(message);
  std::size_t whole = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (const auto read = decode_message(ByteView(bytes).first(size))) {
      ++whole;
      EXPECT_LE(read->closer_peers.size(), 2);
    }
  }
  EXPECT_EQ(whole, 5);  // at the borders between fields, the empty message among them
}

TEST(Message, SkipsWhatItDoesNotKnow) {
  // A varint, a fixed64, a bytes and a fixed32 field of unknown numbers; then type PING.
  const auto read =
      decode_message(*from_hex("780a"
                               "791122334455667788"
                               "7a0161"
                               "7d11223344"
                               "0805"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type, MessageType::ping);
}

TEST(Message, RefusesWhatIsNoProtobuf) {
  for (const char* hex : {
           "08",                        // a tag without its value
           "0806",                      // no such type
           "08ffffffffffffffffff7f",    // a varint over 64 bits
           "088080808080808080808001",  // a varint of eleven bytes
           "12ff",                      // a cut length
           "1205aa",                    // a length beyond the end
           "12ffffffffffffffffff01",    // a length near 2^64
           "0001",                      // field number 0
           "0b0c",                      // groups
           "0900",                      // a cut fixed64
           "0d00",                      // a cut fixed32
           "42020a05",                  // a peer whose ID ends beyond it
           "4a0108",                    // a peer that ends in a tag
       }) {
    EXPECT_EQ(decode_message(*from_hex(hex)).error(), Errc::bad_message) << hex;
  }
}

TEST(Message, LeavesOutPeersWithoutAnId) {
  const auto read =
      decode_message(*from_hex("0804"
                               "4200"
                               "42040a026161"
                               "4a0412026161"));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->closer_peers.empty());
  EXPECT_TRUE(read->provider_peers.empty());
}

TEST(Message, AMillionProvidersCostLittle) {
  Message one;
  one.provider_peers = {peer(1)};
  one.closer_peers = {peer(2)};
  const Bytes bytes = encode(one);
  const Bytes body(bytes.begin() + 2, bytes.end());
  Bytes flood{0x08, 0x03};
  while (flood.size() + body.size() <= kMaxMessageSize) {
    flood.insert(flood.end(), body.begin(), body.end());
  }
  const auto read = decode_message(flood);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->provider_peers.size(), kMaxProviderPeers);
  EXPECT_EQ(read->closer_peers.size(), kMaxCloserPeers);
  EXPECT_EQ(decode_message(Bytes(kMaxMessageSize + 1)).error(), Errc::too_large);
}

TEST(Message, BoundsAddressesAndKeys) {
  Message message;
  message.type = MessageType::find_node;
  message.closer_peers = {peer(1)};
  message.closer_peers[0].addresses.assign(100, Multiaddr(*from_hex("047f000001060001")));
  EXPECT_EQ(decode_message(encode(message))->closer_peers[0].addresses.size(), kMaxAddresses);
  message.closer_peers[0].addresses = {Multiaddr(Bytes(kMaxAddressSize + 1)),
                                       Multiaddr(Bytes(kMaxAddressSize))};
  EXPECT_EQ(decode_message(encode(message))->closer_peers[0].addresses.size(), 1);
  message.key.assign(kMaxKeySize, 1);
  EXPECT_TRUE(decode_message(encode(message)));
  message.key.push_back(1);
  EXPECT_EQ(decode_message(encode(message)).error(), Errc::too_large);
}

TEST(Message, TakesFieldsInAnyOrder) {
  Message message;
  message.type = MessageType::get_providers;
  message.key = Bytes(34, 9);
  message.closer_peers = {peer(1)};
  const Bytes bytes = encode(message);  // type (2 bytes), key (36), peer
  const auto cut = [&](std::size_t from, std::size_t to) {
    return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                 bytes.begin() + static_cast<std::ptrdiff_t>(to));
  };
  const auto turned = concat({cut(38, bytes.size()), cut(2, 38), cut(0, 2)});
  const auto read = decode_message(turned);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, message);
}

TEST(Message, TheLastOfARepeatedSingleFieldCounts) {
  const auto read = decode_message(concat({*from_hex("0804120161"), *from_hex("0803120162")}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type, MessageType::get_providers);
  EXPECT_EQ(read->key, Bytes{'b'});
}

}  // namespace
}  // namespace hagring::kad
