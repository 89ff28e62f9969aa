// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

/// Below these the host's own tools delete what they haven't made: update-ca-trust (Fedora 41,
/// /etc/ssl/certs leads there) and update-ca-certificates of SUSE (etc_ssl.run), both by p11-kit's
/// pem-directory-hash.
constexpr const char* kGenerated[] = {"/etc/pki/ca-trust/extracted", "/var/lib/ca-certificates"};

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

/// The path of an open directory, as the host that is seen at `root` names it; empty if it can't be
/// told.
fs::path path_on_host(int directory_fd, const fs::path& root) {
  std::error_code error;
  const auto path = fs::read_symlink("/proc/self/fd/" + std::to_string(directory_fd), error);
  const auto top = error ? fs::path() : fs::canonical(root, error);
  if (error) return {};
  if (top == "/") return path;
  const auto below = path.lexically_relative(top);
  if (below.empty() || *below.begin() == "..") return {};
  return "/" / below;
}

/// Whether the host's own tools empty `directory` of what they haven't made.
bool is_generated(const fs::path& directory) {
  return std::ranges::any_of(kGenerated, [&](const char* top) {
    const auto below = directory.lexically_relative(top);
    return !below.empty() && *below.begin() != "..";
  });
}

/// Whether what is written there may be gone when the machine has been started again.
bool is_stateless(int directory_fd) {
  struct statfs system{};
  if (::fstatfs(directory_fd, &system) != 0) return false;
  return system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC ||
         system.f_type == OVERLAYFS_SUPER_MAGIC;
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

/// The hash links in a directory that lead to one of `targets`: a file's name and paths.
std::vector<std::string> links_to(int directory_fd, const std::vector<fs::path>& targets) {
  std::vector<std::string> found;
  UniqueFd again(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return found;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(again.get()), ::closedir);
  if (!listing) return found;
  (void)again.release();
  while (const auto* entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (!is_hash_name(name)) continue;
    const fs::path target = link_target(directory_fd, name);
    if (std::ranges::find(targets, target) != targets.end()) found.push_back(name);
  }
  return found;
}

/// Whether what is there by that name is ours; Errc::not_found if nothing is.
Result<std::string> read_ours(int directory_fd, const std::string& name) {
  auto text = read_small_file(directory_fd, name, kMaxFile);
  if (!text && (text.error() == Errc::too_large || text.error() == Errc::unsupported)) {
    return TrustErrc::not_ours;
  }
  if (!text) return as_trust_error(text.error());
  if (!text->starts_with(kMark)) return TrustErrc::not_ours;
  return text;
}

}  // namespace

const boost::system::error_category& trust_category() noexcept {
  static const TrustCategory category;
  return category;
}

error_code as_trust_error(const error_code& error) {
  namespace errc = boost::system::errc;
  if (error == errc::read_only_file_system) return TrustErrc::read_only;
  if (error == errc::permission_denied || error == errc::operation_not_permitted) {
    return TrustErrc::not_permitted;
  }
  return error;
}

TrustStore::TrustStore(TrustStoreOptions options)
    : options_(std::move(options)), file_name_(kTrustFilePrefix + options_.name + ".pem") {
  if (options_.name.empty() || options_.name.find('/') != std::string::npos) {
    throw StartError("'" + options_.name + "' can't be part of the name of a certificate file");
  }
}

Result<std::vector<TrustStore::Place>> TrustStore::open_all() const {
  std::vector<fs::path> candidates(std::begin(kDirectories), std::end(kDirectories));
  if (!options_.directory.empty()) candidates = {options_.directory};
  std::vector<Place> places;
  error_code failure = TrustErrc::no_directory;
  for (const auto& directory : candidates) {
    UniqueFd fd = open_in_root(options_.host, directory, O_RDONLY | O_DIRECTORY);
    if (!fd) {
      if (errno != ENOENT && errno != ENOTDIR) failure = as_trust_error(last_system_error());
      continue;
    }
    auto path = path_on_host(fd.get(), options_.host);
    if (path.empty()) path = directory;
    // On RHEL one is a link to the other.
    if (std::ranges::any_of(places, [&](const Place& place) { return place.directory == path; })) {
      continue;
    }
    places.push_back({std::move(fd), std::move(path), directory});
  }
  if (places.empty()) return failure;
  return places;
}

Result<TrustStore::Place> TrustStore::open() const {
  TRY(auto places, open_all());
  // First what can be written to, then what stays there.
  const auto rank = [](const Place& place) {
    const bool writable = ::faccessat(place.fd.get(), ".", W_OK, AT_EACCESS) == 0;
    return (writable ? 0 : 2) + (is_generated(place.directory) ? 1 : 0);
  };
  return std::move(*std::ranges::min_element(places, {}, rank));
}

Result<void> TrustStore::install(std::string_view pem) {
  TRY(const auto place, open());
  const auto text = std::string(kMark) + std::string(kHint) + std::string(pem);
  const auto there = read_ours(place.fd.get(), file_name_);
  if (there && *there == text) return {};
  if (!there && there.error() != Errc::not_found) return there.error();
  const auto done = write_file_atomically(place.fd.get(), file_name_, text, 0644);
  if (!done) return as_trust_error(done.error());
  return {};
}

Result<void> TrustStore::remove() {
  TRY(const auto places, open_all());
  for (const auto& place : places) CHECK_OK(remove_from(place));
  return {};
}

Result<void> TrustStore::remove_from(const Place& place) const {
  const auto there = read_ours(place.fd.get(), file_name_);
  if (!there && there.error() != Errc::not_found) return there.error();
  auto names =
      links_to(place.fd.get(), {file_name_, place.directory / file_name_, place.name / file_name_});
  names.push_back(file_name_);
  names.push_back("." + file_name_ + ".new");  // what a crash in write_file_atomically leaves
  for (const auto& name : names) {
    // Looked for first: on a read-only file system even what is absent can't be unlinked.
    struct stat status{};
    const bool absent =
        ::fstatat(place.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT;
    if (!absent && ::unlinkat(place.fd.get(), name.c_str(), 0) != 0) {
      return as_trust_error(last_system_error());
    }
  }
  return {};
}

Result<InstalledCa> TrustStore::installed() const {
  TRY(const auto place, open());
  InstalledCa found{.path = place.directory / file_name_,
                    .stateless = is_stateless(place.fd.get()),
                    .regenerated = is_generated(place.directory)};
  struct stat status{};
  if (::fstatat(place.fd.get(), file_name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return found;
    return as_trust_error(last_system_error());
  }
  TRY(found.pem, read_ours(place.fd.get(), file_name_));
  found.since = std::chrono::system_clock::from_time_t(status.st_mtim.tv_sec) +
                std::chrono::duration_cast<WallTime::duration>(
                    std::chrono::nanoseconds(status.st_mtim.tv_nsec));
  return found;
}

Result<WallTime> TrustStore::installed_at() const {
  TRY(const auto found, installed());
  if (!found.since) return Errc::not_found;
  return *found.since;
}

std::string TrustStore::path() const {
  const auto place = open();
  const fs::path directory = place                         ? place->directory
                             : !options_.directory.empty() ? options_.directory
                                                           : fs::path(kDirectories[0]);
  return (directory / file_name_).string();
}

}  // namespace hagring::proxy
