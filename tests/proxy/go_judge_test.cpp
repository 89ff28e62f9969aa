// SPDX-License-Identifier: Apache-2.0
// Go's crypto/tls and crypto/x509, which containerd is made of, as the judge of our certificates
// and of our TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <cstdio>
#include <fstream>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_stream.hpp"
#include "userspace/proxy/leaf_mint.hpp"
#include "userspace/proxy/trust_store.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using asio::ip::tcp;
using testing::HasSubstr;

/// Runs a shell command to its end; its output, or nullopt if it failed.
std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return std::nullopt;
  std::string output;
  char part[512];
  while (const auto size = std::fread(part, 1, sizeof(part), pipe)) output.append(part, size);
  return ::pclose(pipe) == 0 ? std::optional(output) : std::nullopt;
}

struct GoJudgeTest : testing::Test {
  GoJudgeTest() { fs::create_directories(directory); }
  ~GoJudgeTest() override { fs::remove_all(directory); }

  /// Builds the judge from Go's standard library alone: no network is needed.
  bool build_judge() {
    const auto build = "cd '" GO_JUDGE_SOURCE "' && GOCACHE='" GO_JUDGE_CACHE
                       "' GOFLAGS=-mod=mod CGO_ENABLED=0 "
                       "GOTOOLCHAIN=local go build -o '" +
                       (directory / "judge").string() + "' . 2>&1";
    return output_of(build).has_value();
  }

  /// One handshake of the judge, for `name`, with a server that shows `leaf`. Returns what the
  /// judge says; the alert it sent, if any, is in `alert`.
  std::string judge(X509* leaf, const std::string& name, const std::string& version,
                    const std::string& roots = "ca.crt") {
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const bool system = roots == "system";
    const auto command = "SSL_CERT_FILE=/dev/null SSL_CERT_DIR='" + directory.string() +
                         "/certs' timeout 20 '" + (directory / "judge").string() +
                         "' 127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()) + " '" +
                         (system ? roots : (directory / roots).string()) + "' '" + name + "' " +
                         version;
    std::optional<std::string> said;
    std::thread client([&] { said = output_of(command); });
    test::run(context, with_deadline(clock, 25s, serve(acceptor, leaf)));
    client.join();
    return said.value_or("the judge did not run");
  }

  awaitable<Result<void>> serve(tcp::acceptor& acceptor, X509* leaf) {
    alert = -1;
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (error) co_return error;
    auto ssl = make_server_ssl(server_context.get());
    SSL_use_certificate(ssl.get(), leaf);
    SSL_use_PrivateKey(ssl.get(), ca.leaf_key());
    TlsStream stream(ssl.release(), std::make_unique<SocketStream>(std::move(socket)));
    const auto done = co_await stream.handshake();
    if (done) {
      CO_CHECK(co_await stream.write(as_bytes("hello")));
      CO_CHECK(co_await stream.shutdown_write());
    }
    alert = stream.failure().alert;
    co_return Result<void>();
  }

  Certificate forge(const std::string& names) const {
    X509Builder builder;
    builder.subject("O", "forged")
        .valid(ca.not_before(), ca.not_after())
        .public_key(ca.leaf_key())
        .issuer(ca.certificate())
        .extension(NID_authority_key_identifier, "keyid:always")
        .extension(NID_ext_key_usage, "serverAuth")
        .extension(NID_subject_alt_name, names);
    return builder.sign(ca.key());
  }

  asio::io_context context;
  SystemClock clock;
  fs::path directory = fs::path(testing::TempDir()) / ("go-judge-" + std::to_string(::getpid()));
  CertificateAuthority ca = CertificateAuthority::load_or_make(
      {.directory = directory, .permitted_names = {"docker.io"}}, clock);
  LeafMint mint{ca, clock};
  SslContext server_context = make_server_context();
  int alert = -1;
};

// One test, since the judge takes seconds to build.
TEST_F(GoJudgeTest, AgreesWithTheConstraintsAndFindsTheTrustStoresFile) {
  if (!output_of("go version")) GTEST_SKIP() << "SKIPPED: no Go here, so Go was not the judge";
  if (!build_judge()) GTEST_SKIP() << "SKIPPED: Go here can't build the judge";

  fs::create_directories(directory / "certs");
  TrustStore store({.host = directory, .directory = "/certs"});
  EXPECT_THAT(judge(*mint.leaf("docker.io"), "docker.io", "1.3", "system"),
              HasSubstr("unknown authority"));
  EXPECT_EQ(alert, SSL_AD_BAD_CERTIFICATE);
  ASSERT_TRUE(store.install(ca.pem()));
  EXPECT_EQ(judge(*mint.leaf("docker.io"), "docker.io", "1.3", "system"), "ok\n");

  for (const std::string version : {"1.2", "1.3"}) {
    for (const std::string name : {"docker.io", "registry-1.docker.io", "192.0.2.1"}) {
      EXPECT_EQ(judge(*mint.leaf(name), name, version), "ok\n") << name << " by TLS " << version;
    }
    EXPECT_THAT(judge(*mint.leaf("docker.io"), "quay.io", version), HasSubstr("valid for"));
    EXPECT_EQ(alert, SSL_AD_BAD_CERTIFICATE);
    const auto expect_forbidden = [&](const std::string& names, const std::string& name) {
      EXPECT_THAT(judge(forge(names).get(), name, version), HasSubstr("not permitted by any con"))
          << names;
      EXPECT_TRUE(is_certificate_alert(alert)) << alert;
    };
    expect_forbidden("DNS:quay.io", "quay.io");
    expect_forbidden("IP:127.0.0.1", "127.0.0.1");
    expect_forbidden("IP:2001:db8::1", "2001:db8::1");
  }
}

}  // namespace
}  // namespace hagring::proxy
