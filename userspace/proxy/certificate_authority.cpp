// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/certificate_authority.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <set>

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/log.hpp"
#include "userspace/proxy/client_hello.hpp"
#include "userspace/proxy/x509_builder.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPart = "certificate authority";
constexpr const char* kOrganization = "hagring";
constexpr std::size_t kMaxPem = std::size_t{64} * 1024;
/// A clock that is set back a little after the CA was made must not make it useless.
constexpr std::chrono::hours kBackdated{24};
/// A CA without a DNS constraint could sign any name: this one can't exist (RFC 6761).
constexpr const char* kNoName = "hagring.invalid";

struct BioFree {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Memory = std::unique_ptr<BIO, BioFree>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// Threat: an encrypted key would make OpenSSL ask for its password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

/// The file that is at fault and what the operator can do about it.
[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  const auto directory = file.parent_path().string();
  throw StartError(file.string() + ": " + why + ". If nothing else needs it, remove ca.key and " +
                   "ca.crt from " + directory + " and a new CA is made (containerd must then " +
                   "learn to trust it); else give the agent another state directory");
}

/// The file that can't be written.
[[noreturn]] void refuse_to_write(const fs::path& file, const std::string& why) {
  throw StartError(file.string() + ": cannot be written: " + why +
                   "; make room, or name a state directory that the agent may write to");
}

std::vector<std::string> normalized(const std::vector<std::string>& names) {
  std::set<std::string> sorted;
  for (auto name : names) {
    if (!is_host_name(name)) {
      throw StartError("'" + name +
                       "' can't be a name constraint of the node's CA: give a DNS name without "
                       "wildcards, which stands for all names below it, too");
    }
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    sorted.insert(std::move(name));
  }
  return {sorted.begin(), sorted.end()};
}

/// The permitted subtrees in OpenSSL's words, sorted.
std::set<std::string> subtrees(const std::vector<std::string>& names) {
  std::set<std::string> wanted{std::string("IP:") + kProbeAddress + "/255.255.255.255"};
  for (const auto& name : names) wanted.insert("DNS:" + name);
  if (names.empty()) wanted.insert(std::string("DNS:") + kNoName);
  return wanted;
}

std::string constraint_text(const std::vector<std::string>& names) {
  std::string text = "critical";
  for (const auto& subtree : subtrees(names)) text += ",permitted;" + subtree;
  return text;
}

/// One subtree of a certificate, as subtrees() has it; "other" for what we never write.
std::string subtree_text(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    const auto* dns = name->d.dNSName;
    return "DNS:" + std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(dns)),
                                static_cast<std::size_t>(ASN1_STRING_length(dns)));
  }
  const auto* address = name->type == GEN_IPADD ? name->d.iPAddress : nullptr;
  if (!address || ASN1_STRING_length(address) != 8) return "other";
  std::string text = "IP:";
  for (int i = 0; i < 8; ++i) {
    text += std::to_string(ASN1_STRING_get0_data(address)[i]);
    if (i != 7) text += i == 3 ? '/' : '.';
  }
  return text;
}

/// The permitted subtrees of `certificate`; empty if it has no critical constraints of our form.
std::set<std::string> subtrees_of(X509* certificate) {
  int critical = 0;
  std::unique_ptr<NAME_CONSTRAINTS, decltype(&NAME_CONSTRAINTS_free)> constraints(
      static_cast<NAME_CONSTRAINTS*>(
          X509_get_ext_d2i(certificate, NID_name_constraints, &critical, nullptr)),
      NAME_CONSTRAINTS_free);
  std::set<std::string> found;
  if (!constraints || critical != 1 || constraints->excludedSubtrees) return found;
  for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); ++i) {
    found.insert(subtree_text(sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base));
  }
  return found;
}

bool is_ours(X509* certificate) {
  char organization[64] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_organizationName, organization,
                            sizeof(organization));
  return std::string_view(organization) == kOrganization && X509_check_ca(certificate) == 1;
}

struct Pair {
  Certificate certificate;
  PrivateKey key;
};

std::string read_or_refuse(const fs::path& file) {
  const auto text = read_small_file(file, kMaxPem);
  if (!text) refuse(file, "cannot be read: " + text.error().message());
  return *text;
}

Pair load(const fs::path& key_file, const fs::path& certificate_file) {
  const auto key_text = read_or_refuse(key_file);
  struct stat status{};
  if (::stat(key_file.c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    refuse(key_file, "others than its owner may read it, so the key may be known to them");
  }
  Pair pair;
  const Memory key_bio(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  pair.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
  if (!pair.key)
    refuse(key_file, "is not a private key in PEM form (" + take_openssl_error() + ")");
  const auto text = read_or_refuse(certificate_file);
  const Memory bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  pair.certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  if (!pair.certificate) {
    refuse(certificate_file, "is not a certificate in PEM form (" + take_openssl_error() + ")");
  }
  if (!is_ours(pair.certificate.get())) {
    refuse(certificate_file, "is not a CA certificate that hagring has made");
  }
  if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    refuse(certificate_file, "does not belong to the key in " + key_file.filename().string());
  }
  return pair;
}

/// Why a CA that was loaded can't be used on; empty: it can.
std::string why_replace(X509* certificate, const CertificateAuthorityOptions& options,
                        const std::vector<std::string>& names, WallTime now) {
  if (subtrees_of(certificate) != subtrees(names)) return "the list of mirrored names has changed";
  if (wall_time(X509_get0_notBefore(certificate)) > now) return "its time has not come yet";
  if (wall_time(X509_get0_notAfter(certificate)) < now + options.renew_before) {
    return "its end is near";
  }
  return {};
}

PrivateKey make_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) throw StartError("cannot make an EC key: " + take_openssl_error());
  return key;
}

std::string random_suffix() {
  std::array<unsigned char, 4> random{};
  RAND_bytes(random.data(), random.size());
  return to_hex(random);
}

Pair make(const CertificateAuthorityOptions& options, const std::vector<std::string>& names,
          WallTime now) {
  Pair pair{nullptr, make_key()};
  X509Builder builder;
  // Two CAs of one node must not share a name: a verifier would try the wrong key.
  builder.subject("O", kOrganization)
      .subject("CN", "node CA " + random_suffix() + " " + options.node_name)
      .valid(now - kBackdated, now + options.validity)
      .public_key(pair.key.get())
      .issuer(nullptr)
      .extension(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
      .extension(NID_key_usage, "critical,keyCertSign")
      .extension(NID_ext_key_usage, "serverAuth")
      .extension(NID_name_constraints, constraint_text(names))
      .extension(NID_subject_key_identifier, "hash");
  pair.certificate = builder.sign(pair.key.get());
  return pair;
}

std::string certificate_pem(X509* certificate) {
  const Memory bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

void store(const Pair& pair, const fs::path& key_file, const fs::path& certificate_file) {
  const Memory key_bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(key_bio.get(), pair.key.get(), nullptr, nullptr, 0, nullptr,
                                nullptr);
  // In this order a crash leaves a key alone, which is replaced; never a key and a certificate
  // that don't belong together.
  std::error_code ignored;
  fs::remove(certificate_file, ignored);
  if (const auto done = write_file_atomically(key_file, text_of(key_bio.get()), 0600); !done) {
    refuse_to_write(key_file, done.error().message());
  }
  const auto done =
      write_file_atomically(certificate_file, certificate_pem(pair.certificate.get()), 0644);
  if (!done) refuse_to_write(certificate_file, done.error().message());
}

void make_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::create_directories(directory, error)) {
    if (!error) return;
    throw StartError(directory.string() + ": cannot be made (" + error.message() +
                     "); name a state directory that the agent may write to");
  }
  fs::permissions(directory, fs::perms::owner_all, error);
}

/// The pair in the directory if it is there and can be used on.
std::optional<Pair> load_usable(const fs::path& key_file, const fs::path& certificate_file,
                                const CertificateAuthorityOptions& options,
                                const std::vector<std::string>& names, WallTime now) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(certificate_file, error))) return std::nullopt;
  auto pair = load(key_file, certificate_file);
  const auto why = why_replace(pair.certificate.get(), options, names, now);
  if (why.empty()) return pair;
  log::warning(kPart,
               "replacing {}: {}. Until containerd trusts the new CA its connections are spliced "
               "to the origin",
               certificate_file.string(), why);
  return std::nullopt;
}

}  // namespace

CertificateAuthority CertificateAuthority::load_or_make(const CertificateAuthorityOptions& options,
                                                        const Clock& clock) {
  const auto key_file = options.directory / "ca.key";
  const auto certificate_file = options.directory / "ca.crt";
  CertificateAuthority made;
  made.permitted_names_ = normalized(options.permitted_names);
  make_directory(options.directory);
  auto pair = load_usable(key_file, certificate_file, options, made.permitted_names_, clock.wall());
  if (!pair) {
    pair = make(options, made.permitted_names_, clock.wall());
    store(*pair, key_file, certificate_file);
    log::info(kPart, "made a new CA in {}", options.directory.string());
  }
  made.certificate_ = std::move(pair->certificate);
  made.key_ = std::move(pair->key);
  made.leaf_key_ = make_key();
  made.pem_ = certificate_pem(made.certificate_.get());
  made.not_before_ = wall_time(X509_get0_notBefore(made.certificate_.get()));
  made.not_after_ = wall_time(X509_get0_notAfter(made.certificate_.get()));
  return made;
}

bool CertificateAuthority::permits(std::string_view name) const {
  if (name == kProbeAddress) return true;
  if (!is_host_name(name)) return false;
  return std::any_of(permitted_names_.begin(), permitted_names_.end(), [name](const auto& suffix) {
    return name.ends_with(suffix) &&
           (name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.');
  });
}

std::string CertificateAuthority::fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(certificate_.get(), EVP_sha256(), digest.data(), &size);
  return to_hex(ByteView(digest).first(size));
}

}  // namespace hagring::proxy
