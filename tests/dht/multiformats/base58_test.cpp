// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/base58.hpp"

#include <gtest/gtest.h>

namespace hagring::dht {
namespace {

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// Vectors of the Internet-Draft draft-msporny-base58.
TEST(Base58, WritesTheDraftsVectors) {
  EXPECT_EQ(to_base58(as_bytes("Hello World!")), "2NEpo7TZRRrLZSi2U");
  EXPECT_EQ(to_base58(as_bytes("The quick brown fox jumps over the lazy dog.")),
            "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z");
  EXPECT_EQ(to_base58(*from_hex("0000287fb4cd")), "11233QC4");
  EXPECT_EQ(to_base58({}), "");
}

TEST(Base58, ReadsWhatItWrites) {
  EXPECT_EQ(from_base58("2NEpo7TZRRrLZSi2U"), bytes_of("Hello World!"));
  EXPECT_EQ(from_base58("11233QC4"), from_hex("0000287fb4cd"));
  EXPECT_EQ(from_base58(""), Bytes());
}

TEST(Base58, RefusesOtherLettersAndLongText) {
  for (const auto* text : {"0", "O", "I", "l", "2NEpo7TZRRrLZSi2U ", "-"}) {
    EXPECT_FALSE(from_base58(text)) << text;
  }
  EXPECT_TRUE(from_base58(std::string(kMaxBase58Text, '1')));
  EXPECT_FALSE(from_base58(std::string(kMaxBase58Text + 1, '1')));
}

// RFC 4648, section 10.
TEST(Base32, WritesAndReadsTheRfcsVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "my"},
                                                         {"fo", "mzxq"},
                                                         {"foo", "mzxw6"},
                                                         {"foob", "mzxw6yq"},
                                                         {"fooba", "mzxw6ytb"},
                                                         {"foobar", "mzxw6ytboi"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base32(as_bytes(plain)), encoded);
    EXPECT_EQ(from_base32(encoded), bytes_of(plain));
  }
}

TEST(Base32, RefusesASecondFormOfAValue) {
  EXPECT_FALSE(from_base32("mz"));   // bits left over
  EXPECT_FALSE(from_base32("m"));    // less than a byte
  EXPECT_FALSE(from_base32("MY"));   // upper case
  EXPECT_FALSE(from_base32("my="));  // padding
}

}  // namespace
}  // namespace hagring::dht
