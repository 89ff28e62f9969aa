// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/certificate_authority.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <fstream>
#include <list>
#include <thread>

#include "tests/support/manual_clock.hpp"
#include "userspace/proxy/leaf_mint.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

struct CertificateAuthorityTest : testing::Test {
  CertificateAuthorityTest() { fs::remove_all(directory); }
  ~CertificateAuthorityTest() override { fs::remove_all(directory); }

  /// Loads or makes them as a start does; a successor signs at once.
  Authorities& authorities() {
    auto& started = starts.emplace_back(options, clock);
    started.promote();
    return started;
  }
  const CertificateAuthority& authority() { return authorities().signing(); }
  std::list<Authorities> starts;
  fs::path key_file() const { return directory / "ca.key"; }
  fs::path certificate_file() const { return directory / "ca.crt"; }
  std::string start_error() {
    try {
      (void)authority();
    } catch (const StartError& error) {
      return error.what();
    }
    return "no error";
  }
  /// OpenSSL's verdict on `leaf`, shown for `name`, with `ca` as the only root.
  long verify(X509* ca, X509* leaf, const std::string& name) const {
    CertificateStore store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), ca);
    auto* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store.get(), leaf, nullptr);
    auto* parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(clock.wall()));
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) {
      X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), 0);
    }
    X509_verify_cert(context);
    const long verdict = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    return verdict;
  }
  /// A leaf that the mint would refuse to make, signed with the CA's key.
  static Certificate forge(const CertificateAuthority& ca, const std::string& names) {
    X509Builder builder;
    builder.subject("O", "forged")
        .valid(ca.not_before(), ca.not_after())
        .public_key(ca.leaf_key())
        .issuer(ca.certificate())
        .extension(NID_basic_constraints, "critical,CA:FALSE")
        .extension(NID_authority_key_identifier, "keyid:always")
        .extension(NID_ext_key_usage, "serverAuth")
        .extension(NID_subject_alt_name, names);
    return builder.sign(ca.key());
  }

  test::ManualClock clock;
  fs::path directory =
      fs::path(testing::TempDir()) / ("certificate-authority-" + std::to_string(::getpid()));
  CertificateAuthorityOptions options{
      .directory = directory, .permitted_names = {"docker.io", "Quay.IO"}, .node_name = "node-1"};
};

TEST_F(CertificateAuthorityTest, IsMadeOnceAndLoadedAgain) {
  const auto& made = authority();
  struct stat status{};
  ASSERT_EQ(::stat(key_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  clock.advance(24h * 365 * 9);
  const auto& loaded = authority();
  EXPECT_EQ(loaded.fingerprint(), made.fingerprint());
  EXPECT_EQ(loaded.pem(), made.pem());
  EXPECT_EQ(loaded.not_after(), made.not_after());
  EXPECT_EQ(EVP_PKEY_eq(loaded.key(), made.key()), 1);
}

TEST_F(CertificateAuthorityTest, IsReplacedWhenItsEndIsNear) {
  const auto first = authority().fingerprint();
  clock.advance(options.validity - options.renew_before + 1h);
  EXPECT_NE(authority().fingerprint(), first);
}

TEST_F(CertificateAuthorityTest, IsReplacedWhenTheNamesChangeAndOnlyThen) {
  const auto& first = authority();
  options.permitted_names = {"quay.io", "docker.io", "quay.io"};
  EXPECT_EQ(authority().fingerprint(), first.fingerprint());
  options.permitted_names.push_back("ghcr.io");
  const auto& second = authority();
  EXPECT_NE(second.fingerprint(), first.fingerprint());
  // A verifier that knows both must not take one for the other.
  EXPECT_NE(X509_NAME_cmp(X509_get_subject_name(first.certificate()),
                          X509_get_subject_name(second.certificate())),
            0);
}

TEST_F(CertificateAuthorityTest, IsReplacedWhenItWasMadeByAClockFarAhead) {
  test::ManualClock ahead(clock.wall() + 24h * 365);
  const auto first = Authorities(options, ahead).signing().fingerprint();
  EXPECT_NE(authority().fingerprint(), first);
}

TEST_F(CertificateAuthorityTest, KeyAloneIsWhatACrashLeavesAndIsReplaced) {
  const auto first = authority().fingerprint();
  fs::remove(certificate_file());
  EXPECT_NE(authority().fingerprint(), first);
  EXPECT_NO_THROW(authority());
}

TEST_F(CertificateAuthorityTest, NamesMustBeNames) {
  for (const std::string name : {"*.pkg.dev", "dkr.ecr.*.amazonaws.com", "", "10.0.0.1", "a b",
                                 "docker.io,permitted;DNS:com"}) {
    options.permitted_names = {name};
    EXPECT_THAT(start_error(), HasSubstr("can't be a name constraint")) << name;
  }
  EXPECT_FALSE(fs::exists(certificate_file()));
}

TEST_F(CertificateAuthorityTest, BrokenOrForeignFilesAreRefusedAndNeverReplaced) {
  (void)authority();
  const auto expect_refused = [&](const std::string& file, const std::string& why) {
    const auto error = start_error();
    EXPECT_THAT(error, HasSubstr(file));
    EXPECT_THAT(error, HasSubstr(why));
    EXPECT_THAT(error, HasSubstr("remove ca.key and ca.crt"));
  };
  fs::permissions(key_file(), fs::perms::group_read, fs::perm_options::add);
  expect_refused("ca.key", "may read it");
  fs::permissions(key_file(), fs::perms::owner_read);

  const auto keep = directory / "keep";
  fs::copy(certificate_file(), keep);
  std::ofstream(certificate_file()) << "-----BEGIN CERTIFICATE-----\nAAAA\n";
  expect_refused("ca.crt", "not a certificate");

  X509Builder foreign;
  const PrivateKey key(EVP_EC_gen("P-256"));
  foreign.subject("O", "somebody").valid(clock.wall(), clock.wall() + 1h).public_key(key.get());
  foreign.issuer(nullptr).extension(NID_basic_constraints, "critical,CA:TRUE");
  BIO* bio = BIO_new_file(certificate_file().c_str(), "w");
  PEM_write_bio_X509(bio, foreign.sign(key.get()).get());
  BIO_free(bio);
  expect_refused("ca.crt", "hagring has made");

  fs::remove(certificate_file());
  fs::copy(keep, certificate_file());
  std::ofstream(key_file()) << "nonsense";
  fs::permissions(key_file(), fs::perms::owner_read | fs::perms::owner_write);
  expect_refused("ca.key", "not a private key");

  fs::remove(key_file());
  expect_refused("ca.key", "cannot be read");
}

TEST_F(CertificateAuthorityTest, KeyOfAnotherCaIsRefused) {
  (void)authority();
  auto other = options;
  other.directory = directory / "other";
  Authorities(other, clock);
  fs::copy(other.directory / "ca.key", key_file(), fs::copy_options::overwrite_existing);
  EXPECT_THAT(start_error(), HasSubstr("does not belong to the key in ca.key"));
}

TEST_F(CertificateAuthorityTest, LeavesVerify) {
  auto& authorities_of_ca = authorities();
  const auto& ca = authorities_of_ca.signing();
  LeafMint mint(authorities_of_ca, clock);
  for (const std::string name : {"docker.io", "registry-1.docker.io", "a.b.quay.io", "192.0.2.1"}) {
    const auto leaf = mint.leaf(name);
    ASSERT_TRUE(leaf) << name;
    EXPECT_EQ(verify(ca.certificate(), *leaf, name), X509_V_OK) << name;
    EXPECT_EQ(verify(ca.certificate(), *leaf, "other.docker.io"), X509_V_ERR_HOSTNAME_MISMATCH);
  }
}

TEST_F(CertificateAuthorityTest, MintRefusesNamesOutsideTheConstraints) {
  auto& authorities_of_ca = authorities();
  LeafMint mint(authorities_of_ca, clock);
  for (const std::string name :
       {"ghcr.io", "io", "xdocker.io", "docker.io.evil.com", "192.0.2.2", "10.0.0.1", "::1", "",
        ".docker.io", "*.docker.io", "a.docker.io,DNS:ghcr.io"}) {
    EXPECT_EQ(mint.leaf(name).error(), Errc::unsupported) << name;
  }
  EXPECT_EQ(mint.size(), 0U);
}

TEST_F(CertificateAuthorityTest, VerifierRejectsWhatTheConstraintsForbid) {
  const auto expect_rejected = [&](const CertificateAuthority& ca, const std::string& names,
                                   const std::string& name) {
    const auto leaf = forge(ca, names);
    EXPECT_EQ(verify(ca.certificate(), leaf.get(), name), X509_V_ERR_PERMITTED_VIOLATION) << names;
  };
  const auto& ca = authority();
  EXPECT_EQ(verify(ca.certificate(), forge(ca, "DNS:docker.io").get(), "docker.io"), X509_V_OK);
  expect_rejected(ca, "DNS:ghcr.io", "ghcr.io");
  expect_rejected(ca, "DNS:docker.io,DNS:ghcr.io", "docker.io");
  expect_rejected(ca, "IP:10.0.0.1", "10.0.0.1");
  expect_rejected(ca, "IP:192.0.2.2", "192.0.2.2");
  expect_rejected(ca, "IP:2001:db8::1", "2001:db8::1");
  options.permitted_names = {};
  options.directory = directory / "without-names";  // one with names would cover none, too
  auto& authorities_of_without_names = authorities();
  const auto& without_names = authorities_of_without_names.signing();
  expect_rejected(without_names, "DNS:docker.io", "docker.io");
  LeafMint mint(authorities_of_without_names, clock);
  EXPECT_EQ(verify(without_names.certificate(), *mint.leaf(kProbeAddress), kProbeAddress),
            X509_V_OK);
}

TEST_F(CertificateAuthorityTest, CalendarsThatJumpGetLeavesThatAreValidThenOrNone) {
  auto& authorities_of_ca = authorities();
  const auto& ca = authorities_of_ca.signing();
  LeafMint mint(authorities_of_ca, clock);
  const auto expect_valid = [&](bool valid) {
    const auto leaf = mint.leaf("docker.io");
    ASSERT_EQ(leaf.has_value(), valid);
    if (valid) EXPECT_EQ(verify(ca.certificate(), *leaf, "docker.io"), X509_V_OK);
  };
  expect_valid(true);
  constexpr auto kYear = 24h * 365;
  for (const Duration by : {Duration(72h), Duration(-72h), Duration(-12h), Duration(12h)}) {
    clock.set_calendar(by);
    expect_valid(true);
  }
  clock.set_calendar(-kYear);  // before the CA was made: the connection is spliced
  expect_valid(false);
  clock.set_calendar(kYear);
  expect_valid(true);
  clock.set_calendar(11 * kYear);  // behind its end
  expect_valid(false);
  clock.set_calendar(-11 * kYear);
  expect_valid(true);
}

TEST_F(CertificateAuthorityTest, LeafCannotSignAnotherLeaf) {
  auto& authorities_of_ca = authorities();
  const auto& ca = authorities_of_ca.signing();
  LeafMint mint(authorities_of_ca, clock);
  X509* const leaf = *mint.leaf("docker.io");
  EXPECT_EQ(X509_check_ca(leaf), 0);
  EXPECT_EQ(X509_get_key_usage(leaf), static_cast<unsigned>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_get_extended_key_usage(leaf), static_cast<unsigned>(XKU_SSL_SERVER));
  EXPECT_EQ(X509_get_pathlen(ca.certificate()), 0);
  EXPECT_EQ(X509_get_key_usage(ca.certificate()), static_cast<unsigned>(KU_KEY_CERT_SIGN));
}

TEST_F(CertificateAuthorityTest, LeavesAreKeptRenewedAndBounded) {
  auto& authorities_of_ca = authorities();
  LeafMint mint(authorities_of_ca, clock, {.capacity = 2});
  const auto serial = [&](const std::string& name) {
    return ASN1_INTEGER_dup(X509_get0_serialNumber(*mint.leaf(name)));
  };
  const auto expect_same = [&](const std::string& name, ASN1_INTEGER* before, bool same) {
    auto* now = serial(name);
    EXPECT_EQ(ASN1_INTEGER_cmp(before, now) == 0, same) << name;
    ASN1_INTEGER_free(before);
    ASN1_INTEGER_free(now);
  };
  expect_same("a.docker.io", serial("a.docker.io"), true);
  auto* a = serial("a.docker.io");
  auto* b = serial("b.docker.io");
  (void)mint.leaf("a.docker.io");
  (void)mint.leaf("c.docker.io");  // b is the longest unused
  EXPECT_EQ(mint.size(), 2U);
  expect_same("a.docker.io", a, true);
  expect_same("b.docker.io", b, false);
  a = serial("a.docker.io");
  clock.advance(25h);
  expect_same("a.docker.io", a, false);
}

TEST_F(CertificateAuthorityTest, LeavesLiveWithinTheCa) {
  options.validity = 30h;
  options.renew_before = 1h;
  auto& authorities_of_ca = authorities();
  const auto& ca = authorities_of_ca.signing();
  LeafMint mint(authorities_of_ca, clock);
  EXPECT_EQ(wall_time(X509_get0_notAfter(*mint.leaf("docker.io"))), ca.not_after());
  EXPECT_GE(wall_time(X509_get0_notBefore(*mint.leaf("docker.io"))), ca.not_before());
  EXPECT_LE(wall_time(X509_get0_notBefore(*mint.leaf("docker.io"))), clock.wall() - 5h);
  // The last leaf is used until it ends, not made anew at each connection.
  X509* const leaf = *mint.leaf("docker.io");
  clock.advance(20h);
  EXPECT_EQ(*mint.leaf("docker.io"), leaf);
}

TEST_F(CertificateAuthorityTest, ThreadsMintAtTheSameTime) {
  auto& authorities_of_ca = authorities();
  const auto& ca = authorities_of_ca.signing();
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      LeafMint mint(authorities_of_ca, clock);
      for (int n = 0; n < 20; ++n) {
        const auto name = std::to_string(i) + "-" + std::to_string(n) + ".quay.io";
        if (const auto leaf = mint.leaf(name); leaf && verify(ca.certificate(), *leaf, name) == 0) {
          ++good;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 80);
}

}  // namespace
}  // namespace hagring::proxy
