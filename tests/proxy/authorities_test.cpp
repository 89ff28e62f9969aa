// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/authorities.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "tests/support/manual_clock.hpp"
#include "userspace/proxy/leaf_mint.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

/// A CA as a company makes one: `signed_by` nobody is a root.
struct CompanyCa {
  explicit CompanyCa(WallTime now, const CompanyCa* signed_by = nullptr,
                     const std::string& constraints = {}, std::chrono::hours validity = 24h * 365)
      : key(EVP_EC_gen("P-256")) {
    X509Builder builder;
    builder.subject("CN", signed_by ? "Company Issuer" : "Company Root")
        .valid(now - 1h, now + validity)
        .public_key(key.get())
        .issuer(signed_by ? signed_by->certificate.get() : nullptr)
        .extension(NID_basic_constraints, "critical,CA:TRUE")
        .extension(NID_key_usage, "critical,keyCertSign")
        .extension(NID_subject_key_identifier, "hash");
    if (!constraints.empty()) builder.extension(NID_name_constraints, "critical," + constraints);
    certificate = builder.sign(signed_by ? signed_by->key.get() : key.get());
  }
  std::string pem() const { return certificate_pem(certificate.get()); }

  PrivateKey key;
  Certificate certificate;
};

struct AuthoritiesTest : testing::Test {
  AuthoritiesTest() { fs::remove_all(directory); }
  ~AuthoritiesTest() override { fs::remove_all(directory); }

  Authorities start() const { return Authorities(options, clock); }
  std::string fingerprint() const { return Authorities(options, clock).signing().fingerprint(); }
  std::vector<std::string> files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      found.push_back(entry.path().filename().string());
    }
    std::ranges::sort(found);
    return found;
  }
  static mode_t mode_of(const fs::path& file) {
    struct stat status{};
    ::stat(file.c_str(), &status);
    return status.st_mode & 07777;
  }
  /// Writes a company's CA, what follows it in the file, and the key.
  void give(const CompanyCa& ca, const std::string& chain = {}, mode_t mode = 0440) {
    fs::create_directories(directory / "secret");
    const auto certificate = directory / "secret/tls.crt", key = directory / "secret/tls.key";
    std::ofstream(certificate) << ca.pem() << chain;
    fs::remove(key);
    BIO* bio = BIO_new_file(key.c_str(), "w");
    PEM_write_bio_PKCS8PrivateKey(bio, ca.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    BIO_free(bio);
    ::chmod(key.c_str(), mode);
    options.given_certificate = certificate;
    options.given_key = key;
  }
  std::string refusal() const {
    try {
      start();
    } catch (const StartError& error) {
      return error.what();
    }
    return "no error";
  }
  /// OpenSSL's verdict on what `ssl` would show, for `name`, with `root` as the only root.
  long verify(X509* root, SSL* ssl, const std::string& name) const {
    CertificateStore store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), root);
    STACK_OF(X509)* chain = nullptr;
    SSL_get0_chain_certs(ssl, &chain);
    auto* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store.get(), SSL_get_certificate(ssl), chain);
    auto* parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(clock.wall()));
    X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), 0);
    X509_verify_cert(context);
    const long verdict = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    return verdict;
  }

  test::ManualClock clock;
  const fs::path directory =
      fs::path(testing::TempDir()) / ("authorities-" + std::to_string(::getpid()));
  CertificateAuthorityOptions options{
      .directory = directory, .permitted_names = {"docker.io"}, .node_name = "node-1"};
};

TEST_F(AuthoritiesTest, SuccessorWaitsUntilItIsTrustedAndTheOldOneSignsMeanwhile) {
  const auto first = fingerprint();
  clock.advance(options.validity - options.renew_before + 1h);
  Authorities all(options, clock);
  LeafMint mint(all, clock);
  ASSERT_TRUE(all.successor());
  EXPECT_EQ(all.signing().fingerprint(), first);
  EXPECT_NE(all.successor()->fingerprint(), first);
  EXPECT_EQ(all.pem(), all.signing().pem() + all.successor()->pem());
  EXPECT_THAT(files(), testing::ElementsAre("ca.crt", "ca.key", "next.crt", "next.key"));
  EXPECT_EQ(mode_of(directory / "next.key"), 0600U);
  const auto issued_by = [&](const char* name, const CertificateAuthority& authority) {
    return X509_verify(*mint.leaf(name), authority.key()) == 1;
  };
  EXPECT_TRUE(issued_by("docker.io", all.signing()));
  EXPECT_TRUE(issued_by(kProbeAddress, all.signing()));
  all.prove_successor(true);
  EXPECT_TRUE(issued_by("docker.io", all.signing()));
  EXPECT_TRUE(issued_by(kProbeAddress, *all.successor()));
  all.prove_successor(false);
  EXPECT_TRUE(issued_by(kProbeAddress, all.signing()));

  // Another start finds the same two.
  const auto second = all.successor()->fingerprint();
  EXPECT_EQ(start().successor()->fingerprint(), second);

  all.promote();
  EXPECT_FALSE(all.successor());
  EXPECT_TRUE(issued_by("docker.io", all.signing()));
  EXPECT_EQ(all.signing().fingerprint(), second);
  EXPECT_EQ(all.pem(), all.signing().pem());
  EXPECT_THAT(files(), testing::ElementsAre("ca.crt", "ca.key"));
  EXPECT_EQ(mode_of(directory / "ca.key"), 0600U);
  EXPECT_EQ(fingerprint(), second);
}

TEST_F(AuthoritiesTest, NamesThatAreNotCoveredNeedASuccessorAndFewerDoNot) {
  const auto first = fingerprint();
  options.permitted_names = {"docker.io", "quay.io"};
  Authorities all(options, clock);
  ASSERT_TRUE(all.successor());
  LeafMint mint(all, clock);
  EXPECT_EQ(mint.leaf("quay.io").error(), Errc::unsupported);
  EXPECT_TRUE(mint.leaf("docker.io"));
  all.promote();
  EXPECT_TRUE(mint.leaf("quay.io"));
  options.permitted_names = {"quay.io", "registry.docker.io"};
  EXPECT_FALSE(start().successor());
  EXPECT_NE(fingerprint(), first);
}

TEST_F(AuthoritiesTest, SuccessorThatIsNoLongerNeededIsForgotten) {
  start();
  options.permitted_names = {"docker.io", "quay.io"};
  const auto second = start().successor()->fingerprint();
  options.permitted_names = {"docker.io", "ghcr.io"};
  EXPECT_NE(start().successor()->fingerprint(), second);
  options.permitted_names = {"docker.io"};
  EXPECT_FALSE(start().successor());
  EXPECT_THAT(files(), testing::ElementsAre("ca.crt", "ca.key"));
}

TEST_F(AuthoritiesTest, RunningAgentRenewsToo) {
  options.validity = 24h * 30;
  options.renew_before = 24h * 10;
  Authorities all(options, clock);
  EXPECT_FALSE(all.renew_if_due());
  clock.advance(24h * 21);
  EXPECT_TRUE(all.renew_if_due());
  EXPECT_FALSE(all.renew_if_due());
  all.promote();
  clock.advance(24h * 21);
  EXPECT_TRUE(all.renew_if_due());
}

TEST_F(AuthoritiesTest, ExpiredCaIsReplacedAtOnce) {
  const auto first = fingerprint();
  clock.advance(options.validity + 1h);
  EXPECT_FALSE(start().successor());
  EXPECT_NE(fingerprint(), first);
}

TEST_F(AuthoritiesTest, CrashWhileASuccessorTakesOverIsMended) {
  start();
  options.permitted_names = {"docker.io", "quay.io"};
  const auto second = start().successor()->fingerprint();
  // After each of the steps of promote().
  fs::remove(directory / "ca.crt");
  fs::copy(directory, directory / "copy");
  EXPECT_EQ(fingerprint(), second);
  EXPECT_TRUE(fs::exists(directory / "ca.crt"));
  for (const auto* file : {"ca.crt", "ca.key"}) fs::remove(directory / file);
  fs::rename(directory / "copy/next.key", directory / "ca.key");
  fs::rename(directory / "copy/next.crt", directory / "next.crt");
  fs::remove_all(directory / "copy");
  EXPECT_EQ(fingerprint(), second);
  EXPECT_THAT(files(), testing::ElementsAre("ca.crt", "ca.key"));
}

TEST_F(AuthoritiesTest, GivenCaSignsAndIsWrittenNowhere) {
  const CompanyCa root(clock.wall());
  const CompanyCa issuer(clock.wall(), &root, "permitted;DNS:docker.io");
  give(issuer, root.pem());
  const Authorities all(options, clock);
  EXPECT_EQ(all.signing().fingerprint(), fingerprint_of(issuer.certificate.get()));
  EXPECT_EQ(all.pem(), issuer.pem());
  EXPECT_THAT(files(), testing::ElementsAre("secret"));
  LeafMint mint(all, clock);
  EXPECT_EQ(mint.leaf("quay.io").error(), Errc::unsupported);
  // For who trusts the issuer, and for who trusts what is above it only.
  const auto context = make_server_context();
  const auto ssl = make_server_ssl(context.get());
  ASSERT_TRUE(mint.put_on(ssl.get(), "docker.io"));
  EXPECT_EQ(verify(root.certificate.get(), ssl.get(), "docker.io"), X509_V_OK);
}

TEST_F(AuthoritiesTest, GivenCaWithoutConstraintsSignsForTheMirroredNames) {
  const CompanyCa root(clock.wall());
  give(root);
  const Authorities all(options, clock);
  EXPECT_FALSE(all.signing().is_constrained());
  LeafMint mint(all, clock);
  EXPECT_TRUE(mint.leaf("registry-1.docker.io"));
  EXPECT_TRUE(mint.leaf(kProbeAddress));
  EXPECT_EQ(mint.leaf("quay.io").error(), Errc::unsupported);
}

TEST_F(AuthoritiesTest, GivenCaIsNeverReplacedButSaidToEnd) {
  const CompanyCa root(clock.wall(), nullptr, {}, 24h * 40);
  give(root);
  Authorities all(options, clock);
  EXPECT_FALSE(all.successor());
  EXPECT_FALSE(all.renew_if_due());
  clock.advance(24h * 41);
  EXPECT_THAT(refusal(), HasSubstr("not valid now"));
}

TEST_F(AuthoritiesTest, GivenCaIsFoundThroughASecretsLinks) {
  const CompanyCa root(clock.wall());
  give(root);
  fs::rename(directory / "secret", directory / "..data");
  fs::create_directory(directory / "secret");
  fs::create_symlink("../..data/tls.crt", directory / "secret/tls.crt");
  fs::create_symlink("../..data/tls.key", directory / "secret/tls.key");
  EXPECT_EQ(refusal(), "no error");
}

TEST_F(AuthoritiesTest, GivenCaThatWillNotDoIsRefusedWithTheReason) {
  const CompanyCa root(clock.wall()), other(clock.wall());
  give(root, {}, 0444);
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("tls.key"), HasSubstr("may read it"),
                                        HasSubstr("defaultMode")));
  give(root, other.pem());
  EXPECT_THAT(refusal(), HasSubstr("certificate 2 has not signed the one before"));
  give(root);
  std::ofstream(options.given_certificate) << other.pem();
  EXPECT_THAT(refusal(), HasSubstr("does not belong to the key in tls.key"));
  give(CompanyCa(clock.wall(), nullptr, "permitted;IP:10.0.0.0/255.0.0.0"));
  EXPECT_THAT(refusal(), HasSubstr("192.0.2.1"));
  give(CompanyCa(clock.wall(), nullptr, "permitted;IP:192.0.0.0/255.255.0.0"));
  EXPECT_EQ(refusal(), "no error");
  fs::remove(options.given_key);
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("cannot be read"), HasSubstr("--ca-key")));

  X509Builder builder;
  const PrivateKey key(EVP_EC_gen("P-256"));
  CompanyCa leaf(clock.wall());
  builder.subject("CN", "server").valid(clock.wall() - 1h, clock.wall() + 1h);
  builder.public_key(leaf.key.get()).issuer(nullptr);
  leaf.certificate = builder.sign(leaf.key.get());
  give(leaf);
  EXPECT_THAT(refusal(), HasSubstr("not a CA's"));
}

}  // namespace
}  // namespace hagring::proxy
