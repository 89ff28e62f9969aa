// SPDX-License-Identifier: Apache-2.0
// Where the CA is put on each distribution, judged by a real Go program that has such a root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "tests/proxy/go_judge.hpp"
#include "userspace/proxy/trust_store.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A distribution's certificates, as its packages lay them out.
struct Layout {
  std::string name;
  std::function<void(const fs::path& root)> make;
  std::string file;          ///< where the CA goes; empty: nowhere
  bool stateless = false;    ///< a tmpfs on this distribution
  bool regenerated = false;  ///< its own tools delete files there
};

constexpr const char* kMozilla = "/usr/share/ca-certificates/mozilla/Root.crt";
constexpr const char* kExtracted = "/etc/pki/ca-trust/extracted/pem";

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

void link(const std::string& target, const fs::path& at) {
  fs::create_directories(at.parent_path());
  fs::create_symlink(target, at);
}

void mount_tmpfs(const fs::path& at) {
  fs::create_directories(at);
  if (::mount("tmpfs", at.c_str(), "tmpfs", 0, nullptr) != 0) throw std::runtime_error("mount");
}

void make_read_only(const fs::path& at) {
  if (::mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      ::mount(nullptr, at.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    throw std::runtime_error("read-only mount");
  }
}

/// Debian's ca-certificates, update-ca-certificates(8): a bundle, a link to each certificate, and
/// links by hash to these links.
void make_debian(const fs::path& root) {
  const auto certificates = root / "etc/ssl/certs";
  write(root / fs::path(kMozilla).relative_path(), "a root\n");
  write(certificates / "ca-certificates.crt", "a root\n");
  link(kMozilla, certificates / "Root.pem");
  link("Root.pem", certificates / "1a2b3c4d.0");
}

/// What ca-certificates.spec of RHEL 8 and 9 and of Amazon Linux 2 and 2023 has in common: bundles
/// that update-ca-trust extracts, links to them, and /etc/ssl/certs itself a link.
void make_rhel(const fs::path& root, const std::string& ssl_certs) {
  write(root / fs::path(kExtracted).relative_path() / "tls-ca-bundle.pem", "a root\n");
  const auto certificates = root / "etc/pki/tls/certs";
  link(std::string(kExtracted) + "/tls-ca-bundle.pem", certificates / "ca-bundle.crt");
  link(std::string(kExtracted) + "/tls-ca-bundle.pem", root / "etc/pki/tls/cert.pem");
  link(ssl_certs, root / "etc/ssl/certs");
}

/// Fedora from 41 on and RHEL 10: /etc/ssl/certs leads to a directory of hashes that
/// update-ca-trust makes anew (its mode is 0555), and the old directory is there as well.
void make_fedora(const fs::path& root) {
  const auto hashes = std::string(kExtracted) + "/directory-hash";
  make_rhel(root, hashes);
  write(root / fs::path(hashes).relative_path() / "Root.pem", "a root\n");
  link("Root.pem", root / fs::path(hashes).relative_path() / "1a2b3c4d.0");
  link(hashes + "/Root.pem", root / "etc/pki/tls/certs/1a2b3c4d.0");
  fs::permissions(root / fs::path(hashes).relative_path(), static_cast<fs::perms>(0555));
}

/// SUSE's ca-certificates, etc_ssl.run and certbundle.run: all of it generated below /var/lib.
void make_suse(const fs::path& root) {
  write(root / "var/lib/ca-certificates/pem/Root.pem", "a root\n");
  link("Root.pem", root / "var/lib/ca-certificates/pem/1a2b3c4d.0");
  write(root / "var/lib/ca-certificates/ca-bundle.pem", "a root\n");
  link("../../var/lib/ca-certificates/pem", root / "etc/ssl/certs");
  link("/var/lib/ca-certificates/ca-bundle.pem", root / "etc/ssl/ca-bundle.pem");
}

/// Flatcar: Gentoo's app-misc/ca-certificates in the read-only /usr, links to it in a writable
/// /etc.
void make_flatcar(const fs::path& root) {
  make_debian(root);
  make_read_only(root / "usr");
}

/// Container-Optimized OS: the same package, on a root that is read-only but for an /etc that each
/// start of the machine makes anew ("Security overview", Filesystem).
void make_cos(const fs::path& root) {
  mount_tmpfs(root / "etc");
  make_debian(root);
  make_read_only(root / "usr");
}

/// Bottlerocket's packages/ca-certificates: one bundle, which systemd-tmpfiles copies at each start
/// into an /etc that is a tmpfs; there is no /etc/ssl.
void make_bottlerocket(const fs::path& root) {
  mount_tmpfs(root / "etc");
  write(root / "etc/pki/tls/certs/ca-bundle.crt", "a root\n");
}

/// Talos: one bundle (constants.DefaultTrustedCAFile) on a root that can't be written to.
void make_talos(const fs::path& root) {
  write(root / "etc/ssl/certs/ca-certificates.crt", "a root\n");
  make_read_only(root / "etc");
}

const Layout kLayouts[] = {
    {"Debian", make_debian, "/etc/ssl/certs"},
    {"Ubuntu", make_debian, "/etc/ssl/certs"},
    {"Rhel", [](const fs::path& root) { make_rhel(root, "../pki/tls/certs"); },
     "/etc/pki/tls/certs"},
    {"Fedora", make_fedora, "/etc/pki/tls/certs"},
    {"AmazonLinux", [](const fs::path& root) { make_rhel(root, "/etc/pki/tls/certs"); },
     "/etc/pki/tls/certs"},
    {.name = "Suse",
     .make = make_suse,
     .file = "/var/lib/ca-certificates/pem",
     .regenerated = true},
    {"Flatcar", make_flatcar, "/etc/ssl/certs"},
    {.name = "Cos", .make = make_cos, .file = "/etc/ssl/certs", .stateless = true},
    {.name = "Bottlerocket",
     .make = make_bottlerocket,
     .file = "/etc/pki/tls/certs",
     .stateless = true},
    {"Talos", make_talos, ""},
};

/// Each file of a tree with its content, each link with its target, each directory.
std::map<std::string, std::string> everything(const fs::path& root) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    std::string content = "directory";
    if (entry.is_symlink()) {
      content = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      std::ifstream file(entry.path());
      content.assign(std::istreambuf_iterator<char>(file), {});
    }
    found["/" + entry.path().lexically_relative(root).string()] = content;
  }
  return found;
}

struct LayoutTest : GoJudge, testing::WithParamInterface<Layout> {
  ~LayoutTest() override {
    for (const auto* mounted : {"etc", "usr"}) ::umount2((root / mounted).c_str(), MNT_DETACH);
  }
  /// What Go says in that root, with nothing but its own rules about where certificates are.
  std::string judge_there() {
    return ask_judge(*mint.leaf("docker.io"), "env -i /usr/bin/timeout 20 /usr/sbin/chroot '" +
                                                  root.string() +
                                                  "' /judge ADDRESS system docker.io 1.3");
  }
  /// Mounts of this test's own; false where that isn't allowed.
  static bool enter_mount_namespace() {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }

  const fs::path root = directory / "root";
};

TEST_P(LayoutTest, GoFindsTheFileAndNothingElseIsTouched) {
  if (!enter_mount_namespace()) GTEST_SKIP() << "SKIPPED: needs root, for chroot and mounts";
  if (!build_judge()) GTEST_SKIP() << "SKIPPED: no Go here that builds the judge";
  fs::create_directories(root);
  fs::copy(judge_file(), root / "judge");
  GetParam().make(root);
  const auto before = everything(root);
  TrustStore store({.host = root});

  EXPECT_THAT(judge_there(), HasSubstr("unknown authority"));
  const auto installed = store.install(ca.pem());
  if (GetParam().file.empty()) {
    ASSERT_FALSE(installed);
    EXPECT_EQ(installed.error(), TrustErrc::read_only);
    EXPECT_THAT(installed.error().message(), HasSubstr("spliced"));
    EXPECT_EQ(everything(root), before);
    EXPECT_TRUE(store.remove());
    return;
  }
  ASSERT_TRUE(installed) << installed.error().message();
  EXPECT_EQ(judge_there(), "ok\n");
  const auto file = GetParam().file + "/hagring-node-ca.pem";
  EXPECT_EQ(store.path(), file);
  const auto found = store.installed();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, file);
  EXPECT_EQ(found->regenerated, GetParam().regenerated);
  if (GetParam().stateless) EXPECT_TRUE(found->stateless);

  auto after = everything(root);
  EXPECT_EQ(after.erase(file), 1U);
  EXPECT_EQ(after, before);
  ASSERT_TRUE(store.remove());
  EXPECT_EQ(everything(root), before);
  EXPECT_THAT(judge_there(), HasSubstr("unknown authority"));
}

INSTANTIATE_TEST_SUITE_P(Distributions, LayoutTest, testing::ValuesIn(kLayouts),
                         [](const auto& about) { return about.param.name; });

}  // namespace
}  // namespace hagring::proxy
