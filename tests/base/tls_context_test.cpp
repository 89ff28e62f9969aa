// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_context.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>

#include <string_view>

#include "tests/support/test_certificate.hpp"

namespace hagring {
namespace {

/// Shakes hands between two SSLs over a pair of memory BIOs; true when both came through.
bool shake(SSL* client, SSL* server) {
  BIO *a = nullptr, *b = nullptr;
  BIO_new_bio_pair(&a, 0, &b, 0);
  SSL_set_bio(client, a, a);
  SSL_set_bio(server, b, b);
  int client_done = 0, server_done = 0;
  for (int i = 0; i < 20 && !(client_done == 1 && server_done == 1); ++i) {
    client_done = SSL_do_handshake(client);
    server_done = SSL_do_handshake(server);
  }
  // A server of TLS 1.3 asks before a client's last flight says whether that is accepted.
  return client_done == 1;
}

struct TlsContextTest : testing::TestWithParam<int> {
  test::TestCertificate certificate = test::make_certificate("registry.example");
  SslContext server_context = test::make_server_context_with(certificate);
  SslContext client_context = test::make_client_context_trusting(&certificate);
  SslHandle client = make_client_ssl(client_context.get(), "registry.example");
  SslHandle server = make_server_ssl(server_context.get());
  void SetUp() override { SSL_set_max_proto_version(client.get(), GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Versions, TlsContextTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(TlsContextTest, ServerThatAsksForAClientCertificateIsNoticed) {
  SSL_set_verify(server.get(), SSL_VERIFY_PEER, nullptr);  // asks, but doesn't insist
  ASSERT_TRUE(shake(client.get(), server.get()));
  EXPECT_TRUE(client_certificate_requested(client.get()));
}

TEST_P(TlsContextTest, ServerThatDoesNotAsk) {
  ASSERT_TRUE(shake(client.get(), server.get()));
  EXPECT_FALSE(client_certificate_requested(client.get()));
}

TEST_P(TlsContextTest, SpeaksHttp11ByAlpnAndPrefersAes128) {
  ASSERT_TRUE(shake(client.get(), server.get()));
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(server.get(), &protocol, &size);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(protocol), size), "http/1.1");
  EXPECT_EQ(SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(client.get())), NID_aes_128_gcm);
  EXPECT_STREQ(SSL_get_servername(server.get(), TLSEXT_NAMETYPE_host_name), "registry.example");
}

TEST_P(TlsContextTest, ClientOfHttp2AloneIsRefused) {
  SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  EXPECT_FALSE(shake(client.get(), server.get()));
}

TEST_P(TlsContextTest, ClientWithoutAlpnIsServed) {
  SSL_set_alpn_protos(client.get(), nullptr, 0);
  EXPECT_TRUE(shake(client.get(), server.get()));
}

TEST_P(TlsContextTest, IpAddressIsVerifiedAsOneAndNotSentAsSni) {
  auto to_address = make_client_ssl(client_context.get(), "192.0.2.1");
  EXPECT_FALSE(shake(to_address.get(), server.get()));
  EXPECT_EQ(SSL_get_verify_result(to_address.get()), X509_V_ERR_IP_ADDRESS_MISMATCH);
  EXPECT_EQ(SSL_get_servername(server.get(), TLSEXT_NAMETYPE_host_name), nullptr);
}

TEST_P(TlsContextTest, WithoutANameToVerifyNoCertificateWillDo) {
  for (const auto name : {std::string_view(""), std::string_view(".example"),
                          std::string_view("registry.example\0.evil", 21),
                          std::string_view("*.example"), std::string_view("registry.example/")}) {
    auto nameless = make_client_ssl(client_context.get(), name);
    auto other_end = make_server_ssl(server_context.get());
    EXPECT_FALSE(shake(nameless.get(), other_end.get())) << name;
    EXPECT_EQ(SSL_get_verify_result(nameless.get()), X509_V_ERR_HOSTNAME_MISMATCH) << name;
  }
}

}  // namespace
}  // namespace hagring
