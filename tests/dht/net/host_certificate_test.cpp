// SPDX-License-Identifier: Apache-2.0
#include "dht/net/host_certificate.hpp"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/dht/rsa_key.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;

// The certificates that tls.md of the libp2p specification gives ("Test vectors").
constexpr const char* kEd25519 =
    "308201ae30820156a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c"
    "69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031"
    "30313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059"
    "301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7"
    "a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea3"
    "7c307a3078060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde"
    "7d7b879ed364501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a43551"
    "9941cac215a8207792e42849cccc6cd8136c6e4bde92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d04"
    "03020346003043021f50f6b6c52711a881778718238f650c9fb48943ae6ee6d28427dc6071ae55e702203625f1"
    "16a7a454db9c56986c82a25682f7248ea1cb764d322ea983ed36a31b77";
constexpr const char* kEcdsa =
    "308201f63082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c"
    "69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031"
    "30313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059"
    "301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7"
    "a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea3"
    "81c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d0201"
    "06082a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf"
    "6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f2044730450220064ea8124774"
    "caf8f50e57f436aa62350ce652418c019df5d98a3ac666c9386a022100aa59d704a931b5f72fb9222cb6cc51f9"
    "54d04a4e2e5450f8805fe8918f71eaae300a06082a8648ce3d04030203470030440220799395b0b6c1e940a7e4"
    "484705f610ab51ed376f19ff9d7c16757cfbf61b8d4302206205c03fbb0f95205c779be86581d3e31c01871ad5"
    "d1f3435bcf375cb0e5088a";
constexpr const char* kSecp256k1 =
    "308201ba3082015fa0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c"
    "69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031"
    "30313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059"
    "301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7"
    "a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea3"
    "8184308181307f060a2b0601040183a25a01010471306f0425080212210206dc6968726765b820f050263ececf"
    "7f71e4955892776c0970542efd689d2382044630440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a3"
    "85eedc34ecf464c7a8ab022026b3109b8a3f40ef833169777eb2aa337cfb6282f188de0666d1bcec2a4690dd30"
    "0a06082a8648ce3d0403020349003046022100e1a217eeef9ec9204b3f774a08b70849646b6a1e6b8b27f93dc0"
    "0ed58545d9fe022100b00dafa549d0f03547878338c7b15e7502888f6d45db387e5ae6b5d46899cef0";
constexpr const char* kInvalid =
    "308201f73082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c"
    "69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f343039363031"
    "30313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059"
    "301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7"
    "a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea3"
    "81c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d0201"
    "06082a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf"
    "6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204473045022100bb6e03577b"
    "7cc7a3cd1558df0da2b117dfdcc0399bc2504ebe7de6f65cade72802206de96e2a5be9b6202adba24ee0362e49"
    "0641ac45c240db71fe955f2c5cf8df6e300a06082a8648ce3d0403020348003045022100e847f267f43717358f"
    "850355bdcabbefb2cfbf8a3c043b203a14788a092fe8db022027c1d04a2d41fd6b57a7e8b3989e470325de4406"
    "e52e084e34a3fd56eef0d0df";

const WallTime kNow = WallTime(std::chrono::hours(24 * 365 * 56));

Certificate read(std::string_view hex) {
  const auto der = *from_hex(hex);
  const auto* begin = der.data();
  return Certificate(d2i_X509(nullptr, &begin, static_cast<long>(der.size())));
}

void expect_peer(const char* hex, KeyType type, const char* peer) {
  const auto certificate = read(hex);
  const auto verdict = verify_host_certificate(certificate.get(), kNow);
  ASSERT_TRUE(verdict.key) << verdict.reason;
  EXPECT_EQ(verdict.key->type(), type);
  EXPECT_EQ(verdict.key->peer_id().to_string(), peer);
}

TEST(HostCertificate, TakesTheSpecificationsCertificates) {
  expect_peer(kEd25519, KeyType::ed25519, "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv");
  expect_peer(kEcdsa, KeyType::ecdsa, "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE");
  expect_peer(kSecp256k1, KeyType::secp256k1,
              "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs");
}

TEST(HostCertificate, RefusesTheSpecificationsInvalidCertificate) {
  const auto verdict = verify_host_certificate(read(kInvalid).get(), kNow);
  EXPECT_FALSE(verdict.key);
  EXPECT_EQ(verdict.reason, "its host key's signature is wrong");
}

TEST(HostCertificate, IsTakenWhenItIsOurs) {
  const auto identity = Identity::generate();
  const auto host = make_host_certificate(identity, kNow);
  const auto verdict = verify_host_certificate(host.certificate.get(), kNow);
  ASSERT_TRUE(verdict.key) << verdict.reason;
  EXPECT_EQ(verdict.key->peer_id(), identity.peer_id());
  EXPECT_EQ(X509_get_ext_count(host.certificate.get()), 1);
  EXPECT_EQ(X509_get_version(host.certificate.get()), X509_VERSION_3);
}

TEST(HostCertificate, IsRefusedOutOfItsTime) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  const auto judge = [&](WallTime at) {
    return verify_host_certificate(host.certificate.get(), at).key.has_value();
  };
  EXPECT_FALSE(judge(kNow - 2h));
  EXPECT_TRUE(judge(kNow - 59min));
  EXPECT_TRUE(judge(kNow + 24h * 365 * 99));
  EXPECT_FALSE(judge(kNow + 24h * 365 * 101));
}

/// Signs anew with the certificate's own key, so that only what was changed can be refused.
void sign_again(const HostCertificate& host) {
  ASSERT_GT(X509_sign(host.certificate.get(), host.key.get(), EVP_sha256()), 0);
}

TEST(HostCertificate, IsRefusedWithoutItsExtensionOrWithTwo) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  auto* extension = X509_delete_ext(host.certificate.get(), 0);
  sign_again(host);
  EXPECT_EQ(verify_host_certificate(host.certificate.get(), kNow).reason,
            "it has no libp2p extension");
  X509_add_ext(host.certificate.get(), extension, -1);
  X509_add_ext(host.certificate.get(), extension, -1);
  X509_EXTENSION_free(extension);
  sign_again(host);
  EXPECT_EQ(verify_host_certificate(host.certificate.get(), kNow).reason,
            "it has more than one libp2p extension");
}

TEST(HostCertificate, IsTakenWithACriticalExtensionOfLibp2pOnly) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  // js-libp2p marks its extension critical.
  X509_EXTENSION_set_critical(X509_get_ext(host.certificate.get(), 0), 1);
  sign_again(host);
  EXPECT_TRUE(verify_host_certificate(host.certificate.get(), kNow).key);
  auto* other = X509_EXTENSION_dup(X509_get_ext(host.certificate.get(), 0));
  auto* oid = OBJ_txt2obj("1.2.3.4", 1);
  X509_EXTENSION_set_object(other, oid);
  X509_add_ext(host.certificate.get(), other, -1);
  ASN1_OBJECT_free(oid);
  X509_EXTENSION_free(other);
  sign_again(host);
  EXPECT_EQ(verify_host_certificate(host.certificate.get(), kNow).reason,
            "it has a critical extension that isn't libp2p's");
}

TEST(HostCertificate, IsRefusedWhenAnotherKeySignedIt) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  const auto other = make_host_certificate(Identity::generate(), kNow);
  X509_sign(host.certificate.get(), other.key.get(), EVP_sha256());
  EXPECT_EQ(verify_host_certificate(host.certificate.get(), kNow).reason,
            "it isn't signed by its own key");
}

/// Why a certificate whose own key is `key` is refused. One of a kind that is taken gets as far as
/// the host key's signature, which is over another.
std::string reason_against(EVP_PKEY* key, EVP_PKEY* signer) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  EXPECT_EQ(X509_set_pubkey(host.certificate.get(), key), 1);
  const bool signs_plain = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
  EXPECT_GT(X509_sign(host.certificate.get(), signer, signs_plain ? nullptr : EVP_sha256()), 0);
  return verify_host_certificate(host.certificate.get(), kNow).reason;
}

TEST(HostCertificate, IsTakenWithModerateKeysOnly) {
  const PrivateKey p256(EVP_EC_gen("P-256")), p521(EVP_EC_gen("P-521")),
      koblitz(EVP_EC_gen("secp256k1")), ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")),
      rsa(EVP_RSA_gen(2048)), weak(EVP_RSA_gen(1024));
  for (const auto* key : {&p521, &ed25519, &rsa}) {
    EXPECT_EQ(reason_against(key->get(), key->get()), "its host key's signature is wrong");
  }
  // What verifying would cost is refused before: who signed it doesn't matter.
  for (const auto* key : {&koblitz, &weak}) {
    EXPECT_EQ(reason_against(key->get(), p256.get()).substr(0, 22), "its own key is of a ki");
  }
  for (const auto& [bits, exponent_bits] : {std::pair{8192, 17}, {2048, 65}, {2048, 2000}}) {
    const auto costly = test::rsa_of(bits, exponent_bits);
    EXPECT_EQ(reason_against(costly.get(), p256.get()).substr(0, 22), "its own key is of a ki")
        << bits << ' ' << exponent_bits;
  }
  EXPECT_EQ(reason_against(test::rsa_of(4096, 64).get(), p256.get()),
            "it isn't signed by its own key");
}

/// The verdict on `host` with `value` in its extension, signed anew.
CertificateVerdict judge_with_value(const HostCertificate& host, ByteView value) {
  const auto copy = Certificate(X509_dup(host.certificate.get()));
  auto* extension = X509_delete_ext(copy.get(), 0);
  ASN1_OCTET_STRING_set(X509_EXTENSION_get_data(extension), value.data(),
                        static_cast<int>(value.size()));
  X509_add_ext(copy.get(), extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(copy.get(), host.key.get(), EVP_sha256());
  return verify_host_certificate(copy.get(), kNow);
}

Bytes extension_value(const HostCertificate& host) {
  const auto* data = X509_EXTENSION_get_data(X509_get_ext(host.certificate.get(), 0));
  return {ASN1_STRING_get0_data(data), ASN1_STRING_get0_data(data) + ASN1_STRING_length(data)};
}

TEST(HostCertificate, IsRefusedWithEveryByteOfItsExtensionChanged) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  const auto good = extension_value(host);
  EXPECT_TRUE(judge_with_value(host, good).key);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto value = good;
    value[i] ^= 0x55;
    EXPECT_FALSE(judge_with_value(host, value).key) << i;
  }
}

TEST(HostCertificate, IsRefusedWithItsExtensionCutAnywhereOrLonger) {
  const auto host = make_host_certificate(Identity::generate(), kNow);
  auto value = extension_value(host);
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_EQ(judge_with_value(host, ByteView(value).first(size)).reason,
              "its libp2p extension is malformed")
        << size;
  }
  value.push_back(0);
  EXPECT_EQ(judge_with_value(host, value).reason, "its libp2p extension is malformed");
  value.resize(8193);
  EXPECT_EQ(judge_with_value(host, value).reason, "its libp2p extension is too large");
}

}  // namespace
}  // namespace hagring::dht
