// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/cid.hpp"

#include <gtest/gtest.h>

namespace hagring::dht {
namespace {

TEST(Cid, HashesAKeyAsSpegelDoes) {
  EXPECT_EQ(to_hex(sha256_multihash(as_bytes("docker.io/library/nginx:1.27"))),
            "12206965a10c15290ad0b29ca7fd1866de1850408b3cb15fb11a3bbbbc2fddb158bd");
}

TEST(Cid, ReadsWhatItWrites) {
  const Cid cid{kRawCodec, sha256_multihash(as_bytes("abc"))};
  EXPECT_TRUE(cid.to_string().starts_with("bafkrei"));
  EXPECT_EQ(Cid::parse(cid.to_string()), cid);
  EXPECT_EQ(Cid::from_bytes(cid.to_bytes()), cid);
}

TEST(Cid, RefusesWhatIsNotOneWholeCid) {
  auto bytes = Cid{kRawCodec, sha256_multihash(as_bytes("abc"))}.to_bytes();
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(Cid::from_bytes(ByteView(bytes).first(cut))) << cut;
  }
  bytes.push_back(0);
  EXPECT_FALSE(Cid::from_bytes(bytes));
  for (const auto* text : {"", "b", "Qm", "bafkrei", "z", "k", "f0155"}) {
    EXPECT_FALSE(Cid::parse(text)) << text;
  }
  EXPECT_FALSE(is_multihash(*from_hex("121f" + std::string(62, '0'))));  // a short SHA-256
}

}  // namespace
}  // namespace hagring::dht
