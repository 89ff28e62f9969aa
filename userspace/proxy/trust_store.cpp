// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <vector>

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/open_in_root.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;

/// What Go reads (crypto/x509/root_linux.go, certDirectories).
constexpr const char* kDirectories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};

/// The first line of a file of ours. PEM readers skip what is before the first block.
constexpr std::string_view kMark = "# Made by hagring, the node's registry mirror; ";
constexpr std::string_view kHint = "removed by `hagring` when it is uninstalled.\n";
constexpr std::size_t kMaxFile = std::size_t{64} * 1024;

class TrustCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring trust"; }

  std::string message(int value) const override {
    switch (static_cast<TrustErrc>(value)) {
      case TrustErrc::no_directory:
        return "the host has neither /etc/ssl/certs nor /etc/pki/tls/certs, so containerd can't be "
               "given the node's CA: its connections are spliced and nothing is shared; mount the "
               "host's file system and name it (--host-root)";
      case TrustErrc::read_only:
        return "the certificate directory is read-only, so containerd can't be given the node's "
               "CA: its connections are spliced and nothing is shared; mount it writable, or "
               "make containerd trust the CA in the agent's state directory by another way";
      case TrustErrc::not_permitted:
        return "the agent may not write to the certificate directory, so containerd can't be given "
               "the node's CA: its connections are spliced and nothing is shared; run it as root "
               "or let it write there";
      case TrustErrc::not_ours:
        return "a file of that name is there that hagring has not made; it is left alone, so "
               "containerd isn't given the node's CA and its connections are spliced: move the "
               "file away";
    }
    return "unknown error " + std::to_string(value);
  }
};

error_code translate(const error_code& error) {
  namespace errc = boost::system::errc;
  if (error == errc::read_only_file_system) return TrustErrc::read_only;
  if (error == errc::permission_denied || error == errc::operation_not_permitted) {
    return TrustErrc::not_permitted;
  }
  return error;
}

/// Whether `name` is one that OpenSSL's hashed directories use: eight hexadecimal digits, a dot, a
/// number.
bool is_hash_name(std::string_view name) {
  const auto dot = name.find('.');
  return dot == 8 && name.size() > 9 &&
         name.substr(0, 8).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         name.substr(9).find_first_not_of("0123456789") == std::string_view::npos;
}

std::string link_target(int directory_fd, const std::string& name) {
  char target[4096];
  const auto size = ::readlinkat(directory_fd, name.c_str(), target, sizeof(target));
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

/// The hash links in a directory that point at `file`, by its name or by its path.
std::vector<std::string> links_to(int directory_fd, const fs::path& file) {
  std::vector<std::string> found;
  UniqueFd again(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return found;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(again.get()), ::closedir);
  if (!listing) return found;
  (void)again.release();
  while (const auto* entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (!is_hash_name(name)) continue;
    const auto target = link_target(directory_fd, name);
    if (target == file.filename() || target == file) found.push_back(name);
  }
  return found;
}

/// Whether what is there by that name is ours; Errc::not_found if nothing is.
Result<std::string> read_ours(int directory_fd, const std::string& name) {
  auto text = read_small_file(directory_fd, name, kMaxFile);
  if (!text && (text.error() == Errc::too_large || text.error() == Errc::unsupported)) {
    return TrustErrc::not_ours;
  }
  if (!text) return translate(text.error());
  if (!text->starts_with(kMark)) return TrustErrc::not_ours;
  return text;
}

}  // namespace

const boost::system::error_category& trust_category() noexcept {
  static const TrustCategory category;
  return category;
}

TrustStore::TrustStore(TrustStoreOptions options)
    : options_(std::move(options)), file_name_(kTrustFilePrefix + options_.name + ".pem") {
  if (options_.name.empty() || options_.name.find('/') != std::string::npos) {
    throw StartError("'" + options_.name + "' can't be part of the name of a certificate file");
  }
}

Result<TrustStore::Place> TrustStore::open() const {
  std::vector<fs::path> candidates(std::begin(kDirectories), std::end(kDirectories));
  if (!options_.directory.empty()) candidates = {options_.directory};
  for (const auto& directory : candidates) {
    // On RHEL /etc/ssl/certs is an absolute link.
    UniqueFd fd = open_in_root(options_.host, directory, O_RDONLY | O_DIRECTORY);
    if (fd) return Place{std::move(fd), directory};
    if (errno != ENOENT && errno != ENOTDIR) return translate(last_system_error());
  }
  return TrustErrc::no_directory;
}

Result<void> TrustStore::install(std::string_view pem) {
  TRY(const auto place, open());
  const auto text = std::string(kMark) + std::string(kHint) + std::string(pem);
  const auto there = read_ours(place.fd.get(), file_name_);
  if (there && *there == text) return {};
  if (!there && there.error() != Errc::not_found) return there.error();
  const auto done = write_file_atomically(place.fd.get(), file_name_, text, 0644);
  if (!done) return translate(done.error());
  return {};
}

Result<void> TrustStore::remove() {
  TRY(const auto place, open());
  const auto there = read_ours(place.fd.get(), file_name_);
  if (!there && there.error() != Errc::not_found) return there.error();
  auto names = links_to(place.fd.get(), place.directory / file_name_);
  names.push_back(file_name_);
  names.push_back("." + file_name_ + ".new");  // what a crash in write_file_atomically leaves
  for (const auto& name : names) {
    // Looked for first: on a read-only file system even what is absent can't be unlinked.
    struct stat status{};
    const bool absent =
        ::fstatat(place.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT;
    if (!absent && ::unlinkat(place.fd.get(), name.c_str(), 0) != 0) {
      return translate(last_system_error());
    }
  }
  return {};
}

Result<WallTime> TrustStore::installed_at() const {
  TRY(const auto place, open());
  struct stat status{};
  if (::fstatat(place.fd.get(), file_name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Errc::not_found;
    return translate(last_system_error());
  }
  return std::chrono::system_clock::from_time_t(status.st_mtim.tv_sec);
}

std::string TrustStore::path() const {
  const auto place = open();
  const fs::path directory = place                         ? place->directory
                             : !options_.directory.empty() ? options_.directory
                                                           : fs::path(kDirectories[0]);
  return (directory / file_name_).string();
}

}  // namespace hagring::proxy
