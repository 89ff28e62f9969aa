// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_roots.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/test_certificate.hpp"
#include "userspace/base/result.hpp"

namespace hagring {
namespace {

namespace fs = std::filesystem;

/// A host's file system in a directory of its own.
struct TlsRootsTest : testing::Test {
  TlsRootsTest() {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    fs::create_directories(host / "etc/ssl/certs");
    fs::create_directories(host / "etc/pki/tls/certs");
  }
  ~TlsRootsTest() override {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    fs::remove_all(host);
  }
  static std::string pem() {
    const auto made = test::make_certificate("a.example");
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made.certificate.get());
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  }
  void write(const fs::path& path, const std::string& text) const {
    std::ofstream(host / path) << text;
  }
  std::size_t count() const { return load_roots({.host = host}).certificates; }

  fs::path host = fs::path(testing::TempDir()) / ("roots-" + std::to_string(::getpid()));
};

TEST_F(TlsRootsTest, ReadsTheFirstBundleOnly) {
  write("etc/pki/tls/cacert.pem", pem() + pem());
  EXPECT_EQ(count(), 2U);
  write("etc/ssl/ca-bundle.pem", "a comment\n" + pem());
  EXPECT_EQ(count(), 1U);
}

TEST_F(TlsRootsTest, ReadsEveryFileOfTheDirectoriesButLinksWithinThem) {
  write("etc/ssl/certs/a.pem", pem());
  write("etc/pki/tls/certs/b.crt", pem());
  write("etc/ssl/certs/not-a-certificate", "hello");
  write("etc/outside.pem", pem());
  fs::create_symlink("a.pem", host / "etc/ssl/certs/0123abcd.0");
  fs::create_symlink(host / "etc/outside.pem", host / "etc/ssl/certs/outside.pem");
  fs::create_symlink("/nowhere/at/all", host / "etc/ssl/certs/dangling.pem");
  EXPECT_EQ(count(), 3U);
}

TEST_F(TlsRootsTest, StepsOverABlockThatCannotBeParsed) {
  write("etc/ssl/certs/ca-certificates.crt",
        pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pem());
  EXPECT_EQ(load_roots({.file = host / "etc/ssl/certs/ca-certificates.crt"}).certificates, 2U);
}

TEST_F(TlsRootsTest, LeavesTheNodesOwnAuthorityOut) {
  write("etc/ssl/certs/hagring-node.pem", pem());
  EXPECT_EQ(load_roots({.host = host, .ignore_prefix = "hagring-"}).certificates, 0U);
}

TEST_F(TlsRootsTest, HonoursTheEnvironment) {
  write("etc/ssl/certs/ca-certificates.crt", pem());
  write("mine.pem", pem() + pem());
  fs::create_directories(host / "one");
  fs::create_directories(host / "two");
  write("one/a.pem", pem());
  write("two/b.pem", pem());
  setenv("SSL_CERT_FILE", (host / "mine.pem").c_str(), 1);
  setenv("SSL_CERT_DIR", ((host / "one").string() + ":" + (host / "two").string()).c_str(), 1);
  EXPECT_EQ(count(), 4U);
}

TEST_F(TlsRootsTest, ExplicitFileMustHaveACertificate) {
  write("empty.pem", "");
  EXPECT_THROW(load_roots({.file = host / "empty.pem"}), StartError);
  EXPECT_THROW(load_roots({.file = host / "absent.pem"}), StartError);
}

}  // namespace
}  // namespace hagring
