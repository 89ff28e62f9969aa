// SPDX-License-Identifier: Apache-2.0
#include "dht/public_key.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tests/dht/rsa_key.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::dht {
namespace {

/// What go-libp2p's fixtures sign (core/crypto/fixture_test.go), and two keys of theirs.
constexpr const char* kMessage = "Libp2p is the _best_!";
constexpr const char* kSecp256k1 =
    "08021221023540ad842af8a43551a94d8383a555a99226506b88f953d2e70316a3a1b3d6a2";
constexpr const char* kSecp256k1Signature =
    "3044022031a7d633c2f3e45a16128d43751afaa8dc9ba24092c5f5b3cad2c8fe4cf388f2022049ea8d219f458683d2"
    "4775d543ea8fb290704347fb35493c403bc2c259b29d9e";
constexpr const char* kEcdsa =
    "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004e29a8674f3614e0ccb72406bfe2137e9"
    "f8c5f7d62d137f0a2edd233e35374777fd1f9aed4d2cfa7371caafc6ef02db83b81f77cfe1bcd8c715acf0b9a2778e"
    "a9";
constexpr const char* kEcdsaSignature =
    "3046022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65022100cd992bb7bd2bcc"
    "28c7db04987d10adc490fe348270954f7696cb0dffff0dfc3d";

Bytes key_message(std::uint64_t type, ByteView data) {
  proto::Writer writer;
  writer.number(1, type);
  writer.bytes(2, data);
  return writer.take();
}

Bytes rsa_message(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const Bytes data(der, der + size);
  OPENSSL_free(der);
  return key_message(0, data);
}

void expect_verifies(const PublicKey& key, Bytes signature) {
  EXPECT_TRUE(key.verify(as_bytes(kMessage), signature));
  EXPECT_FALSE(key.verify(as_bytes("another message"), signature));
  signature[signature.size() / 2] ^= 1;
  EXPECT_FALSE(key.verify(as_bytes(kMessage), signature));
  EXPECT_FALSE(key.verify(as_bytes(kMessage), {}));
}

TEST(PublicKey, VerifiesSecp256k1OfGo) {
  const auto key = PublicKey::parse(*from_hex(kSecp256k1));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->type(), KeyType::secp256k1);
  EXPECT_TRUE(key->peer_id().to_string().starts_with("16Uiu2"));
  expect_verifies(*key, *from_hex(kSecp256k1Signature));
}

TEST(PublicKey, VerifiesEcdsaOfGo) {
  const auto key = PublicKey::parse(*from_hex(kEcdsa));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->type(), KeyType::ecdsa);
  EXPECT_TRUE(key->peer_id().to_string().starts_with("Qm"));
  expect_verifies(*key, *from_hex(kEcdsaSignature));
}

TEST(PublicKey, VerifiesRsa) {
  const PrivateKey pair(EVP_RSA_gen(2048));
  const auto key = PublicKey::parse(rsa_message(pair.get()));
  ASSERT_TRUE(key);
  Bytes signature(256);
  std::size_t size = signature.size();
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  const auto message = as_bytes(kMessage);
  ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, pair.get()), 1);
  ASSERT_EQ(EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()),
            1);
  expect_verifies(*key, signature);
}

TEST(PublicKey, RefusesWeakRsa) {
  const PrivateKey pair(EVP_RSA_gen(1024));
  EXPECT_EQ(PublicKey::parse(rsa_message(pair.get())).error(), Errc::unsupported);
}

TEST(PublicKey, RefusesRsaWithACostlyExponent) {
  for (const int bits : {64, 65, 2000}) {
    const auto key = test::rsa_of(2048, bits);
    EXPECT_EQ(PublicKey::parse(rsa_message(key.get())).has_value(), bits <= 64) << bits;
  }
}

TEST(PublicKey, HasOneFormAndOneIdHoweverItsFieldsAreOrdered) {
  const auto key = PublicKey::parse(*from_hex(kSecp256k1));
  Bytes swapped = *from_hex(kSecp256k1);
  std::rotate(swapped.begin(), swapped.begin() + 2, swapped.end());
  const auto again = PublicKey::parse(swapped);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->message(), key->message());
}

TEST(PublicKey, RefusesEveryCut) {
  for (const auto* hex : {kSecp256k1, kEcdsa}) {
    const auto whole = *from_hex(hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(PublicKey::parse(ByteView(whole).first(size)).error(), Errc::bad_message) << size;
    }
  }
}

TEST(PublicKey, RefusesMalformedKeys) {
  EXPECT_EQ(PublicKey::parse({}).error(), Errc::bad_message);
  EXPECT_EQ(PublicKey::parse(Bytes(4097)).error(), Errc::too_large);
  EXPECT_EQ(PublicKey::parse(key_message(4, Bytes(32))).error(), Errc::unsupported);
  EXPECT_EQ(PublicKey::parse(key_message(1, Bytes(31))).error(), Errc::bad_message);
  EXPECT_EQ(PublicKey::parse(key_message(2, Bytes(33))).error(), Errc::bad_message);
  EXPECT_EQ(PublicKey::parse(key_message(3, Bytes(91))).error(), Errc::bad_message);
  auto trailing = *from_hex(kEcdsa);
  trailing[3] += 1;
  trailing.push_back(0);
  EXPECT_EQ(PublicKey::parse(trailing).error(), Errc::bad_message);
  // An ECDSA key that calls itself RSA.
  auto disguised = *from_hex(kEcdsa);
  disguised[1] = 0;
  EXPECT_EQ(PublicKey::parse(disguised).error(), Errc::unsupported);
}

}  // namespace
}  // namespace hagring::dht
