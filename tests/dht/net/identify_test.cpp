// SPDX-License-Identifier: Apache-2.0
#include "dht/net/identify.hpp"

#include <gtest/gtest.h>

#include "dht/identity.hpp"
#include "dht/net/exact.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/support/memory_stream.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::dht {
namespace {

Multiaddr address(std::string_view text) { return *Multiaddr::parse(text); }

IdentifyMessage whole() {
  IdentifyMessage message;
  message.key = Identity::generate().public_key();
  message.listen_addresses = {address("/ip4/192.0.2.1/tcp/5001"),
                              address("/ip6/2001:db8::1/tcp/5001")};
  message.protocols = {"/ipfs/id/1.0.0", "/spegel/kad/1.0.0"};
  message.observed_address = address("/ip4/192.0.2.9/tcp/40000");
  message.protocol_version = "ipfs/0.1.0";
  message.agent_version = "hagring";
  return message;
}

void expect_equal(const IdentifyMessage& a, const IdentifyMessage& b) {
  ASSERT_EQ(a.key.has_value(), b.key.has_value());
  if (a.key) EXPECT_EQ(a.key->message(), b.key->message());
  EXPECT_EQ(a.listen_addresses, b.listen_addresses);
  EXPECT_EQ(a.protocols, b.protocols);
  EXPECT_EQ(a.observed_address, b.observed_address);
  EXPECT_EQ(a.protocol_version, b.protocol_version);
  EXPECT_EQ(a.agent_version, b.agent_version);
}

TEST(Identify, ReadsWhatItWrites) {
  const auto message = whole();
  const auto read = decode_identify(encode_identify(message));
  ASSERT_TRUE(read);
  expect_equal(*read, message);
  const auto empty = decode_identify(encode_identify({}));
  ASSERT_TRUE(empty);
  expect_equal(*empty, {});
}

/// What go-libp2p and js-libp2p write, put together by hand from the message's definition.
TEST(Identify, ReadsTheWireForm) {
  const auto bytes = from_hex(
      "2a0a697066732f302e312e30"          // protocolVersion
      "3205676f2f7631"                    // agentVersion
      "12080401020304061389"              // listenAddrs /ip4/1.2.3.4/tcp/5001
      "1a0e2f697066732f69642f312e302e30"  // protocols
      "42024141"                          // signedPeerRecord
      "9a0603616263"                      // one that nobody knows
      "c80601");
  ASSERT_TRUE(bytes);
  const auto read = decode_identify(*bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->protocol_version, "ipfs/0.1.0");
  EXPECT_EQ(read->agent_version, "go/v1");
  EXPECT_EQ(read->listen_addresses, std::vector{address("/ip4/1.2.3.4/tcp/5001")});
  EXPECT_EQ(read->protocols, std::vector<std::string>{"/ipfs/id/1.0.0"});
  EXPECT_FALSE(read->key);
}

TEST(Identify, RefusesWhatIsNoMessage) {
  const auto bytes = encode_identify(whole());
  std::size_t refused = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    refused += decode_identify(ByteView(bytes).first(size)) ? 0 : 1;
  }
  // A cut between two fields leaves a message.
  EXPECT_GT(refused, bytes.size() - 12);
  proto::Writer key;
  key.bytes(1, as_bytes("no key"));
  EXPECT_FALSE(decode_identify(key.message()));
  EXPECT_EQ(decode_identify(Bytes(9 * 8192 + 1)).error(), Errc::too_large);
}

TEST(Identify, SkipsWhatItCannotUseAndWhatIsTooMuch) {
  proto::Writer writer;
  writer.bytes(2, as_bytes("not an address"));
  writer.bytes(4, as_bytes("neither"));
  writer.text(3, "");
  writer.text(3, std::string(257, 'p'));
  writer.text(6, std::string(257, 'a'));
  writer.number(5, 7);
  for (int i = 0; i < 200; ++i) {
    writer.bytes(2, address("/ip4/192.0.2.1/tcp/" + std::to_string(i + 1)).to_bytes());
    writer.text(3, "/p/" + std::to_string(i));
  }
  const auto read = decode_identify(writer.message());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->listen_addresses.size(), IdentifyMessage::kMaxAddresses);
  EXPECT_EQ(read->protocols.size(), IdentifyMessage::kMaxProtocols);
  EXPECT_EQ(read->protocols.front(), "/p/0");
  EXPECT_FALSE(read->observed_address);
  EXPECT_EQ(read->agent_version, "");
}

TEST(Identify, WritesNoMoreThanAMessageMayHold) {
  auto message = whole();
  for (int i = 0; i < 1000; ++i) message.protocols.push_back(std::string(200, 'p'));
  const auto bytes = encode_identify(message);
  EXPECT_LE(bytes.size(), IdentifyMessage::kMaxSize);
  EXPECT_TRUE(decode_identify(bytes));
}

struct IdentifyStream : testing::Test {
  asio::io_context context;
  std::unique_ptr<ByteStream> a, b;
  IdentifyStream() {
    std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor(),
                                                     {.max_read = 7, .capacity = 1 << 20});
  }
  void send(const Bytes& message) {
    ASSERT_TRUE(hagring::test::run(context, write_delimited(*a, message)));
  }
  Result<IdentifyMessage> read_to_end() {
    EXPECT_TRUE(hagring::test::run(context, a->shutdown_write()));
    return hagring::test::run(context, read_identify(*b));
  }
};

TEST_F(IdentifyStream, IsWrittenAndRead) {
  const auto message = whole();
  ASSERT_TRUE(hagring::test::run(context, write_identify(*a, message)));
  const auto read = hagring::test::run(context, read_identify(*b));
  ASSERT_TRUE(read);
  expect_equal(*read, message);
}

TEST_F(IdentifyStream, MergesSeveralMessages) {
  IdentifyMessage first, second;
  first.protocols = {"/a"};
  first.agent_version = "old";
  second.protocols = {"/b"};
  second.agent_version = "new";
  send(encode_identify(first));
  send(encode_identify(second));
  const auto read = read_to_end();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->protocols, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(read->agent_version, "new");
}

TEST_F(IdentifyStream, RefusesMoreMessagesThanNine) {
  for (int i = 0; i < 10; ++i) send({});
  EXPECT_EQ(read_to_end().error(), Errc::too_large);
}

TEST_F(IdentifyStream, RefusesAMessageTooLarge) {
  send(Bytes(8193));
  EXPECT_EQ(read_to_end().error(), Errc::too_large);
}

TEST_F(IdentifyStream, RefusesAnEndWithinOrBefore) {
  const auto announced = *from_hex("05abcd");
  ASSERT_TRUE(hagring::test::run(context, a->write(announced)));
  EXPECT_EQ(read_to_end().error(), Errc::truncated);
  std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor());
  EXPECT_EQ(read_to_end().error(), Errc::end_of_stream);
}

}  // namespace
}  // namespace hagring::dht
