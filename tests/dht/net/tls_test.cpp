// SPDX-License-Identifier: Apache-2.0
#include "dht/net/tls.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "dht/net/host_certificate.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/dht/net/give_up.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_stream.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::dht {
namespace {

struct TlsSecurityTest : testing::Test {
  asio::io_context context;
  hagring::test::ManualClock clock;
  Identity client_identity = Identity::generate();
  Identity server_identity = Identity::generate();
  TlsSecurity client{client_identity, clock};
  TlsSecurity server{server_identity, clock};
  std::unique_ptr<ByteStream> a, b;
  TlsSecurityTest() { pipe(); }

  void pipe(std::size_t max_read = SIZE_MAX) {
    std::tie(a, b) =
        hagring::test::make_memory_pipe(context.get_executor(), {.max_read = max_read});
  }
};

TEST_F(TlsSecurityTest, ProvesBothIdentitiesAndAgreesOnTheMuxer) {
  pipe(1);
  auto [out, in] = test::both(context, client.connect(std::move(a), server_identity.peer_id()),
                              server.accept(std::move(b)));
  ASSERT_TRUE(out && in);
  EXPECT_EQ(out->peer, server_identity.peer_id());
  EXPECT_EQ(in->peer, client_identity.peer_id());
  EXPECT_EQ(out->muxer, kYamuxProtocol);
  EXPECT_EQ(in->muxer, kYamuxProtocol);
  ASSERT_TRUE(hagring::test::run(context, out->stream->write(as_bytes("hello"))));
  Bytes into(5);
  ASSERT_TRUE(hagring::test::run(context, read_exactly(*in->stream, into)));
  EXPECT_EQ(as_text(into), "hello");
}

TEST_F(TlsSecurityTest, RefusesAnotherPeerThanTheOneDialledAndNamesIt) {
  TlsFailure failure;
  auto [out, in] =
      test::both(context, client.connect(std::move(a), client_identity.peer_id(), &failure),
                 server.accept(std::move(b)));
  EXPECT_EQ(out.error(), NetErrc::wrong_peer);
  EXPECT_EQ(failure.peer, server_identity.peer_id());
  EXPECT_NE(failure.reason.find(server_identity.peer_id().to_string()), std::string::npos);
  // Spegel's nodes learn an unknown peer's ID so: it must be an ordinary failure here.
  EXPECT_FALSE(in);
}

TEST_F(TlsSecurityTest, LearnsAnUnknownPeersIdentity) {
  auto [out, in] =
      test::both(context, client.connect(std::move(a), std::nullopt), server.accept(std::move(b)));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->peer, server_identity.peer_id());
}

TEST_F(TlsSecurityTest, SpeaksOtherProtocolsWhenToldTo) {
  TlsSecurity other_client(client_identity, clock, {.protocols = {"second/2", "first/1"}});
  TlsSecurity other_server(server_identity, clock, {.protocols = {"first/1"}});
  auto [out, in] = test::both(context, other_client.connect(std::move(a), std::nullopt),
                              other_server.accept(std::move(b)));
  ASSERT_TRUE(out && in);
  EXPECT_EQ(out->muxer, "first/1");
  EXPECT_EQ(in->muxer, "first/1");
  EXPECT_TRUE(out->exported.empty());
  pipe();
  const auto [stranger, refused] = test::both(context, client.connect(std::move(a), std::nullopt),
                                              other_server.accept(std::move(b)));
  EXPECT_EQ(stranger.error(), NetErrc::no_common_protocol);
  EXPECT_FALSE(refused);
}

TEST_F(TlsSecurityTest, BothEndsExportTheSameAndEachConnectionAnother) {
  const auto exported = [&](std::string out_label, std::string in_label) {
    pipe();
    TlsSecurity from(client_identity, clock, {.exporter_label = std::move(out_label)});
    TlsSecurity to(server_identity, clock, {.exporter_label = std::move(in_label)});
    const auto [out, in] =
        test::both(context, from.connect(std::move(a), std::nullopt), to.accept(std::move(b)));
    return std::pair(to_hex(out->exported), to_hex(in->exported));
  };
  const auto first = exported("EXPERIMENTAL a", "EXPERIMENTAL a");
  EXPECT_EQ(first.first, first.second);
  EXPECT_EQ(first.first.size(), 64U);
  EXPECT_NE(exported("EXPERIMENTAL a", "EXPERIMENTAL a").first, first.first);
  const auto labels = exported("EXPERIMENTAL a", "EXPERIMENTAL b");
  EXPECT_NE(labels.first, labels.second);
}

/// A client made of OpenSSL alone, to offer what ours never does.
awaitable<Result<void>> connect_with(SSL_CTX* context, std::unique_ptr<ByteStream> below,
                                     std::string alpn, std::string* chosen = nullptr) {
  auto* ssl = SSL_new(context);
  SSL_set_connect_state(ssl);
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
  }
  TlsStream tls(ssl, std::move(below));
  CO_CHECK(co_await tls.handshake());
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  if (chosen) chosen->assign(reinterpret_cast<const char*>(name), size);
  Bytes one(1);
  const auto read = co_await tls.read_some(one);
  if (!read) co_return read.error();
  co_return Result<void>();
}

struct TlsServer : TlsSecurityTest {
  SslContext raw{SSL_CTX_new(TLS_client_method())};
  HostCertificate host = make_host_certificate(client_identity, clock.wall());
  TlsServer() {
    SSL_CTX_use_certificate(raw.get(), host.certificate.get());
    SSL_CTX_use_PrivateKey(raw.get(), host.key.get());
  }
  /// Accepts and says how it went; the connection is closed after it.
  awaitable<Result<std::string>> accept(TlsFailure* failure = nullptr) {
    auto result = co_await server.accept(std::move(b), failure);
    if (!result) co_return result.error();
    co_return result->muxer.empty() ? "none" : result->muxer;
  }
};

TEST_F(TlsServer, LeavesTheMuxerOpenWithoutAlpn) {
  const auto [out, in] = test::both(context, connect_with(raw.get(), std::move(a), ""), accept());
  EXPECT_EQ(*in, "none");
}

TEST_F(TlsServer, TakesTheClientsFirstProtocolThatItSpeaks) {
  std::string chosen;
  const auto [out, in] =
      test::both(context,
                 connect_with(raw.get(), std::move(a),
                              std::string("\x06/mplex\x06libp2p\x0c/yamux/1.0.0"), &chosen),
                 accept());
  EXPECT_EQ(*in, "none");
  EXPECT_EQ(chosen, "libp2p");
}

TEST_F(TlsServer, AbortsWithoutACommonProtocol) {
  const auto [out, in] =
      test::both(context, connect_with(raw.get(), std::move(a), "\x08http/1.1"), accept());
  EXPECT_FALSE(out);
  EXPECT_FALSE(in);
}

TEST_F(TlsServer, ChoosesTheCheapestCipher) {
  SSL_CTX_set_ciphersuites(raw.get(), "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
  std::string cipher;
  const auto note = [](const SSL* ssl, int where, int) {
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0) return;
    static_cast<std::string*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))
        ->assign(SSL_get_cipher_name(ssl));
  };
  SSL_CTX_set_app_data(raw.get(), &cipher);
  SSL_CTX_set_info_callback(raw.get(), note);
  (void)test::both(context, connect_with(raw.get(), std::move(a), "\x06libp2p"), accept());
  EXPECT_EQ(cipher, "TLS_AES_128_GCM_SHA256");
}

TEST_F(TlsServer, RefusesAClientWithoutCertificate) {
  SslContext bare(SSL_CTX_new(TLS_client_method()));
  const auto [out, in] =
      test::both(context, connect_with(bare.get(), std::move(a), "\x06libp2p"), accept());
  EXPECT_FALSE(out);
  EXPECT_FALSE(in);
}

TEST_F(TlsServer, RefusesOlderTls) {
  SSL_CTX_set_max_proto_version(raw.get(), TLS1_2_VERSION);
  const auto [out, in] =
      test::both(context, connect_with(raw.get(), std::move(a), "\x06libp2p"), accept());
  EXPECT_FALSE(out);
  EXPECT_FALSE(in);
}

TEST_F(TlsServer, RefusesMoreThanOneCertificate) {
  const auto second = make_host_certificate(client_identity, clock.wall());
  SSL_CTX_add1_chain_cert(raw.get(), second.certificate.get());
  TlsFailure failure;
  const auto [out, in] =
      test::both(context, connect_with(raw.get(), std::move(a), "\x06libp2p"), accept(&failure));
  EXPECT_EQ(in.error(), NetErrc::bad_certificate);
  EXPECT_EQ(failure.reason, "it isn't a single certificate");
}

TEST_F(TlsServer, RefusesACertificateWithoutIdentity) {
  X509_EXTENSION_free(X509_delete_ext(host.certificate.get(), 0));
  X509_sign(host.certificate.get(), host.key.get(), EVP_sha256());
  SSL_CTX_use_certificate(raw.get(), host.certificate.get());
  TlsFailure failure;
  const auto [out, in] =
      test::both(context, connect_with(raw.get(), std::move(a), "\x06libp2p"), accept(&failure));
  EXPECT_EQ(in.error(), NetErrc::bad_certificate);
  EXPECT_EQ(failure.reason, "it has no libp2p extension");
}

/// Pads the certificate to more than `size` bytes, signed as it must be.
void enlarge(const HostCertificate& host, std::size_t size) {
  auto* extension = X509_EXTENSION_dup(X509_get_ext(host.certificate.get(), 0));
  auto* oid = OBJ_txt2obj("1.2.3.4", 1);
  X509_EXTENSION_set_object(extension, oid);
  const Bytes padding(size);
  ASN1_OCTET_STRING_set(X509_EXTENSION_get_data(extension), padding.data(), static_cast<int>(size));
  X509_add_ext(host.certificate.get(), extension, -1);
  ASN1_OBJECT_free(oid);
  X509_EXTENSION_free(extension);
  X509_sign(host.certificate.get(), host.key.get(), EVP_sha256());
}

TEST_F(TlsServer, RefusesACertificateThatIsTooLarge) {
  enlarge(host, 200'000);  // OpenSSL takes 100 KiB
  SSL_CTX_use_certificate(raw.get(), host.certificate.get());
  TlsFailure failure;
  const auto [out, in] =
      test::both(context, connect_with(raw.get(), std::move(a), "\x06libp2p"), accept(&failure));
  EXPECT_EQ(in.error(), Errc::bad_message);
  EXPECT_FALSE(failure.reason.empty());
}

/// What a peer may send in place of a handshake, before it says that it has ended.
TEST_F(TlsServer, RefusesWhatIsNoHandshake) {
  const std::pair<Bytes, error_code> cases[] = {
      {{}, Errc::end_of_stream},
      {*from_hex("1603010100"), Errc::end_of_stream},  // a record that is cut off
      {*from_hex("160301ffff01"), Errc::bad_message},  // a record above 16 KiB
      {*from_hex("170303000100"), Errc::bad_message},  // data before the handshake
      {Bytes(1000, 0xff), Errc::bad_message},
      {*from_hex("160301000401ffffff"), Errc::bad_message},  // a hello of 16 MiB
  };
  for (const auto& [bytes, error] : cases) {
    pipe();
    ASSERT_TRUE(hagring::test::run(context, a->write(bytes)));
    ASSERT_TRUE(hagring::test::run(context, a->shutdown_write()));
    EXPECT_EQ(hagring::test::run(context, accept()).error(), error) << to_hex(bytes).substr(0, 40);
  }
}

TEST_F(TlsServer, CanBeGivenUpInAHandshakeThatNeverEnds) {
  ASSERT_TRUE(hagring::test::run(context, a->write(*from_hex("1603010200010001fc0303"))));
  EXPECT_EQ(test::give_up_on(context, accept()), Errc::timed_out);
}

}  // namespace
}  // namespace hagring::dht
