// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_roots.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <cstdlib>
#include <new>
#include <sstream>
#include <vector>

#include "userspace/base/result.hpp"

namespace hagring {
namespace {

namespace fs = std::filesystem;

/// crypto/x509/root_linux.go, certFiles and certDirectories.
constexpr std::array kBundles = {
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/cacert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
};
constexpr std::array kDirectories = {"etc/ssl/certs", "etc/pki/tls/certs"};

/// No bundle is larger; what is (a device, a log) isn't one.
constexpr std::uintmax_t kMaxFileSize = std::uintmax_t{16} << 20;

/// Threat: an encrypted block would make OpenSSL ask for its password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

/// Adds the certificates of a PEM file; a file that can't be read has none.
std::size_t add_file(X509_STORE* store, const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kMaxFileSize) return 0;
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_file(path.c_str(), "r"), BIO_free);
  std::size_t added = 0;
  while (bio) {
    Certificate certificate(PEM_read_bio_X509_AUX(bio.get(), nullptr, no_password, nullptr));
    if (!certificate) {
      // Like Go, step over a block that can't be parsed; the end of the file has this reason.
      const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      ERR_clear_error();
      if (at_end || BIO_eof(bio.get())) break;
      continue;
    }
    if (X509_STORE_add_cert(store, certificate.get()) == 1) ++added;
  }
  ERR_clear_error();
  return added;
}

/// Whether `path` is a link to a file of its own directory, as update-ca-certificates makes by the
/// hundred: the file is read anyway.
bool is_inner_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return false;
  const auto target = fs::read_symlink(path, error);
  return !error && target.string().find('/') == std::string::npos;
}

std::size_t add_directory(X509_STORE* store, const fs::path& directory, const std::string& ignore) {
  std::error_code error;
  std::size_t added = 0;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const auto name = entry.path().filename().string();
    if (!ignore.empty() && name.starts_with(ignore)) continue;
    if (!is_inner_link(entry.path())) added += add_file(store, entry.path());
  }
  return added;
}

std::vector<fs::path> bundles(const RootsOptions& options) {
  if (!options.file.empty()) return {options.file};
  if (const char* file = std::getenv("SSL_CERT_FILE"); file && *file) return {file};
  std::vector<fs::path> found;
  for (const char* bundle : kBundles) found.push_back(options.host / bundle);
  return found;
}

std::vector<fs::path> directories(const RootsOptions& options) {
  if (!options.file.empty()) return {};
  std::vector<fs::path> found;
  if (const char* list = std::getenv("SSL_CERT_DIR"); list && *list) {
    std::istringstream split(list);
    for (std::string one; std::getline(split, one, ':');) found.emplace_back(one);
    return found;
  }
  for (const char* directory : kDirectories) found.push_back(options.host / directory);
  return found;
}

void note(Roots& roots, std::size_t added, const fs::path& path) {
  if (added == 0) return;
  roots.certificates += added;
  if (!roots.source.empty()) roots.source += ", ";
  roots.source += path.string();
}

}  // namespace

Roots load_roots(const RootsOptions& options) {
  Roots roots;
  roots.store.reset(X509_STORE_new());
  if (!roots.store) throw std::bad_alloc();
  for (const auto& bundle : bundles(options)) {
    std::error_code error;
    if (!fs::exists(bundle, error)) continue;
    note(roots, add_file(roots.store.get(), bundle), bundle);
    break;
  }
  for (const auto& directory : directories(options)) {
    note(roots, add_directory(roots.store.get(), directory, options.ignore_prefix), directory);
  }
  if (!options.file.empty() && roots.certificates == 0) {
    throw StartError(options.file.string() +
                     ": no certificate could be read from it; name a PEM file of the certificate "
                     "authorities that registries are verified against");
  }
  return roots;
}

}  // namespace hagring
