// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/hasher.hpp"

#include <gtest/gtest.h>

namespace hagring {
namespace {

// FIPS 180-4's example messages.
TEST(Hasher, KnownAnswers) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher sha512(HashAlgorithm::sha512);
  sha512.update(as_bytes("abc"));
  EXPECT_EQ(to_hex(sha512.digest()),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Hasher, DigestInBetweenChangesNothing) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes("a"));
  EXPECT_NE(hasher.digest(), sha256(as_bytes("abc")));
  hasher.update(as_bytes("bc"));
  EXPECT_EQ(hasher.digest(), sha256(as_bytes("abc")));
}

}  // namespace
}  // namespace hagring
