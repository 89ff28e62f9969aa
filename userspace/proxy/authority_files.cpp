// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/authority_files.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPem = std::size_t{64} * 1024;
/// No real chain is longer.
constexpr std::size_t kMaxCertificates = 16;

struct BioFree {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Memory = std::unique_ptr<BIO, BioFree>;

Memory memory_of(const std::string& text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// Threat: an encrypted key would make OpenSSL ask for its password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

/// Tells which file is at fault and what the operator can do about it.
using Refuse = void (*)(const fs::path& file, const std::string& why);

[[noreturn]] void refuse_own(const fs::path& file, const std::string& why) {
  const auto directory = file.parent_path().string();
  throw StartError(file.string() + ": " + why + ". If nothing else needs it, remove ca.key and " +
                   "ca.crt from " + directory + " and a new CA is made (containerd must then " +
                   "learn to trust it); else give the agent another state directory");
}

[[noreturn]] void refuse_given(const fs::path& file, const std::string& why) {
  throw StartError(file.string() + ": " + why +
                   ". See --ca-cert and --ca-key; without them the node makes a CA of its own");
}

[[noreturn]] void refuse_to_write(const fs::path& file, const std::string& why) {
  throw StartError(file.string() + ": cannot be written: " + why +
                   "; make room, or name a state directory that the agent may write to");
}

std::string read(const fs::path& file, Refuse refuse) {
  const auto text = read_small_file(file, kMaxPem);
  if (!text) refuse(file, "cannot be read: " + text.error().message());
  return *text;
}

PrivateKey read_key(const fs::path& file, mode_t forbidden, Refuse refuse) {
  const auto text = read(file, refuse);
  struct stat status{};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & forbidden) != 0) {
    refuse(file,
           "others than its owner may read it, so the key may be known to them: take that right "
           "away (of a Kubernetes Secret by defaultMode: 0400)");
  }
  PrivateKey key(PEM_read_bio_PrivateKey(memory_of(text).get(), nullptr, no_password, nullptr));
  if (!key) refuse(file, "is not a private key in PEM form (" + take_openssl_error() + ")");
  return key;
}

std::vector<Certificate> read_certificates(const fs::path& file, Refuse refuse) {
  auto found = certificates_in(read(file, refuse));
  if (found.empty()) {
    refuse(file, "is not a certificate in PEM form (" + take_openssl_error() + ")");
  }
  return found;
}

/// The file that a link leads to, as a Secret's do.
fs::path resolved(const fs::path& file) {
  std::error_code error;
  auto target = fs::canonical(file, error);
  return error ? file : target;
}

void check_key(const AuthorityPair& pair, const AuthorityFiles& files, Refuse refuse) {
  if (X509_check_private_key(pair.certificate.get(), pair.key.get()) == 1) return;
  take_openssl_error();
  refuse(files.certificate, "does not belong to the key in " + files.key.filename().string());
}

}  // namespace

std::vector<Certificate> certificates_in(const std::string& pem) {
  std::vector<Certificate> found;
  const auto bio = memory_of(pem);
  while (found.size() < kMaxCertificates) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (!next) break;
    found.push_back(std::move(next));
  }
  if (!found.empty()) take_openssl_error();  // of the end
  return found;
}

AuthorityPair load_own_pair(const AuthorityFiles& files) {
  AuthorityPair pair{nullptr, read_key(files.key, 077, refuse_own)};
  pair.certificate = std::move(read_certificates(files.certificate, refuse_own).front());
  char organization[64] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(pair.certificate.get()), NID_organizationName,
                            organization, sizeof(organization));
  if (std::string_view(organization) != "hagring" || X509_check_ca(pair.certificate.get()) != 1) {
    refuse_own(files.certificate, "is not a CA certificate that hagring has made");
  }
  check_key(pair, files, refuse_own);
  return pair;
}

AuthorityPair load_given_pair(const AuthorityFiles& files) {
  const AuthorityFiles real{.key = resolved(files.key), .certificate = resolved(files.certificate)};
  AuthorityPair pair{nullptr, read_key(real.key, 007, refuse_given)};
  auto all = read_certificates(real.certificate, refuse_given);
  pair.certificate = std::move(all.front());
  auto* const certificate = pair.certificate.get();
  if (X509_check_ca(certificate) != 1 ||
      (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) == 0) {
    refuse_given(files.certificate,
                 "the first certificate in it is not a CA's that may sign others");
  }
  check_key(pair, files, refuse_given);
  auto* below = certificate;
  for (std::size_t i = 1; i < all.size(); ++i) {
    auto* const above = all[i].get();
    if (X509_check_issued(above, below) != X509_V_OK ||
        X509_verify(below, X509_get0_pubkey(above)) != 1) {
      take_openssl_error();
      refuse_given(files.certificate,
                   "its certificate " + std::to_string(i + 1) + " has not signed the one before");
    }
    below = above;
    pair.chain.push_back(std::move(all[i]));
  }
  return pair;
}

void store_pair(const AuthorityPair& pair, const AuthorityFiles& files) {
  const Memory key_bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(key_bio.get(), pair.key.get(), nullptr, nullptr, 0, nullptr,
                                nullptr);
  // In this order a crash leaves a key alone, which is replaced; never a key and a certificate
  // that don't belong together.
  std::error_code ignored;
  fs::remove(files.certificate, ignored);
  if (const auto done = write_file_atomically(files.key, text_of(key_bio.get()), 0600); !done) {
    refuse_to_write(files.key, done.error().message());
  }
  const auto done =
      write_file_atomically(files.certificate, certificate_pem(pair.certificate.get()), 0644);
  if (!done) refuse_to_write(files.certificate, done.error().message());
}

void make_state_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::create_directories(directory, error)) {
    if (!error) return;
    throw StartError(directory.string() + ": cannot be made (" + error.message() +
                     "); name a state directory that the agent may write to");
  }
  fs::permissions(directory, fs::perms::owner_all, error);
}

std::string certificate_pem(X509* certificate) {
  const Memory bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  return to_hex(ByteView(digest).first(size));
}

}  // namespace hagring::proxy
