// SPDX-License-Identifier: Apache-2.0
#include "dht/net/pnet.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "dht/net/exact.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/dht/net/give_up.hpp"
#include "tests/support/memory_stream.hpp"

namespace hagring::dht {
namespace {

constexpr const char* kHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

NetworkKey counting_key() { return *parse_network_key(kHex); }

NetworkNonce counting_nonce() {
  NetworkNonce nonce{};
  std::iota(nonce.begin(), nonce.end(), std::uint8_t{0});
  return nonce;
}

TEST(NetworkKey, IsReadFromASwarmKeyFileOrAsDigits) {
  const std::string head = "/key/swarm/psk/1.0.0/\n/base16/\n";
  for (const auto& text :
       {std::string(kHex), std::string(kHex) + "\n", head + kHex, head + kHex + "\n",
        "/key/swarm/psk/1.0.0/\r\n/base16/\r\n" + std::string(kHex) + "\r\n"}) {
    EXPECT_EQ(parse_network_key(text), counting_key()) << text;
  }
  for (const auto& text :
       {std::string(), std::string(kHex).substr(2), std::string(kHex) + "00", head, head + "xyz",
        "/key/swarm/psk/1.0.0/\n/base64/\n" + std::string(kHex), std::string(kHex) + "\n" + kHex}) {
    EXPECT_FALSE(parse_network_key(text)) << text;
  }
}

TEST(PrivateNetwork, HasTheVectorsBytes) {
  asio::io_context context;
  auto [a, b] = hagring::test::make_memory_pipe(context.get_executor());
  auto stream = join_private_network(std::move(a), counting_key(), counting_nonce());
  ASSERT_TRUE(hagring::test::run(context, stream->write(Bytes(8))));
  Bytes sent(32);
  ASSERT_TRUE(hagring::test::run(context, read_exactly(*b, sent)));
  EXPECT_TRUE(std::equal(sent.begin(), sent.begin() + 24, counting_nonce().begin()));
  EXPECT_EQ(to_hex(ByteView(sent).subspan(24)), "7cb660afdd9ec646");
}

TEST(PrivateNetwork, CarriesBytesCutAnywhere) {
  asio::io_context context;
  auto [a, b] = hagring::test::make_memory_pipe(context.get_executor(), {.max_read = 61});
  auto near = join_private_network(std::move(a), counting_key(), random_network_nonce());
  auto far = join_private_network(std::move(b), counting_key(), random_network_nonce());
  Bytes text(20'000);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::uint8_t>(i * 31 >> 3);
  const auto write = [&](ByteStream& stream) -> awaitable<Result<void>> {
    std::size_t size = 1;
    for (ByteView rest(text); !rest.empty(); size = size % 130 + 1) {
      const auto part = rest.first(std::min(size, rest.size()));
      CO_CHECK(co_await stream.write(part));
      rest = rest.subspan(part.size());
    }
    co_return Result<void>();
  };
  Bytes got(text.size());
  for (auto* from : {near.get(), far.get()}) {
    auto* to = from == near.get() ? far.get() : near.get();
    const auto [written, read] = test::both(context, write(*from), read_exactly(*to, got));
    EXPECT_TRUE(written && read);
    EXPECT_EQ(got, text);
  }
}

TEST(PrivateNetwork, GivesGarbageUnderAnotherKey) {
  asio::io_context context;
  auto [a, b] = hagring::test::make_memory_pipe(context.get_executor());
  auto other = counting_key();
  other[0] ^= 1;
  auto near = join_private_network(std::move(a), counting_key(), counting_nonce());
  auto far = join_private_network(std::move(b), other, counting_nonce());
  Bytes got(16);
  const auto [written, read] = test::both(context, near->write(Bytes(16)), read_exactly(*far, got));
  EXPECT_TRUE(written && read);
  EXPECT_NE(got, Bytes(16));
}

TEST(NetworkKey, IsNotReadFromATextThatNeverEnds) {
  EXPECT_FALSE(parse_network_key(std::string(1 << 20, '0')));
  EXPECT_FALSE(parse_network_key(std::string(1 << 20, '\n')));
  EXPECT_FALSE(parse_network_key("/key/swarm/psk/1.0.0/\n/base16/\n" + std::string(1 << 20, 'a')));
  EXPECT_FALSE(parse_network_key(std::string(kHex) + std::string(1 << 20, '\n')));
}

TEST(PrivateNetwork, SaysThatANonceWasCutOff) {
  for (const std::size_t size : {0, 1, 23, 24}) {
    asio::io_context context;
    auto [a, b] = hagring::test::make_memory_pipe(context.get_executor());
    auto stream = join_private_network(std::move(a), counting_key(), counting_nonce());
    ASSERT_TRUE(hagring::test::run(context, b->write(Bytes(size))));
    ASSERT_TRUE(hagring::test::run(context, b->shutdown_write()));
    Bytes one(1);
    const bool cut = size != 0 && size != 24;
    EXPECT_EQ(hagring::test::run(context, stream->read_some(one)).error(),
              cut ? Errc::truncated : Errc::end_of_stream)
        << size;
  }
}

TEST(PrivateNetwork, CanBeGivenUpWhenTheNonceNeverComes) {
  asio::io_context context;
  auto [a, b] = hagring::test::make_memory_pipe(context.get_executor());
  auto stream = join_private_network(std::move(a), counting_key(), counting_nonce());
  ASSERT_TRUE(hagring::test::run(context, b->write(Bytes(23))));
  Bytes one(1);
  EXPECT_EQ(test::give_up_on(context, stream->read_some(one)), Errc::timed_out);
}

}  // namespace
}  // namespace hagring::dht
