// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/peer_id.hpp"

#include <gtest/gtest.h>

#include "dht/multiformats/base58.hpp"

namespace hagring::dht {
namespace {

// The peer IDs that peer-ids.md of the libp2p specification shows.
constexpr const char* kInlined = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
constexpr const char* kHashed = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
constexpr const char* kCid = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe";

TEST(PeerId, ReadsEachForm) {
  EXPECT_EQ(PeerId::parse(kInlined)->to_string(), kInlined);
  EXPECT_EQ(PeerId::parse(kHashed)->to_string(), kHashed);
  EXPECT_EQ(PeerId::parse(kCid)->to_string(), kHashed);
}

TEST(PeerId, InlinesAShortKeyAndHashesALongOne) {
  const Bytes key = *from_hex("08011220" + std::string(64, 'a'));
  const auto id = PeerId::of_public_key(key);
  EXPECT_EQ(id.bytes().size(), 38U);
  EXPECT_TRUE(std::ranges::equal(id.inlined_key(), key));
  EXPECT_TRUE(id.to_string().starts_with("12D3Koo"));
  const auto hashed = PeerId::of_public_key(Bytes(43));
  EXPECT_TRUE(hashed.to_string().starts_with("Qm"));
  EXPECT_TRUE(hashed.inlined_key().empty());
}

TEST(PeerId, RefusesOtherBytes) {
  EXPECT_FALSE(PeerId::from_bytes({}));
  EXPECT_FALSE(PeerId::from_bytes(Bytes{0x00, 0x00}));
  EXPECT_FALSE(PeerId::from_bytes(Bytes{0x00, 0x05, 1, 2}));
  Bytes long_inlined(2 + 43);
  long_inlined[1] = 43;
  EXPECT_FALSE(PeerId::from_bytes(long_inlined));
  EXPECT_FALSE(PeerId::from_bytes(*from_hex("1114" + std::string(40, '0'))));  // SHA-1
  for (const auto* text : {"", "1", "12D3", "Qm", "hello", "bafkrei"}) {
    EXPECT_FALSE(PeerId::parse(text)) << text;
  }
}

}  // namespace
}  // namespace hagring::dht
