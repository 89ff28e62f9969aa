// SPDX-License-Identifier: Apache-2.0
// Go's crypto/tls and crypto/x509, which containerd is made of, as the judge of our certificates
// and of our TLS.
#include <gmock/gmock.h>

#include "tests/proxy/go_judge.hpp"
#include "userspace/proxy/trust_store.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct GoJudgeTest : GoJudge {
  /// One handshake of the judge, for `name`, with a server that shows `leaf`.
  std::string judge(X509* leaf, const std::string& name, const std::string& version,
                    const std::string& roots = "ca.crt") {
    const bool system = roots == "system";
    return ask_judge(leaf, "SSL_CERT_FILE=/dev/null SSL_CERT_DIR='" + directory.string() +
                               "/certs' timeout 20 '" + judge_file().string() + "' ADDRESS '" +
                               (system ? roots : (directory / roots).string()) + "' '" + name +
                               "' " + version);
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
