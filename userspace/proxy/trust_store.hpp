// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/unique_fd.hpp"
#include "userspace/proxy/trust_errc.hpp"

namespace hagring::proxy {

/// Our files in certificate directories begin so.
inline constexpr const char* kTrustFilePrefix = "hagring-";

struct TrustStoreOptions {
  /// Where the host's file system is mounted; links in it are followed as the host would.
  std::filesystem::path host = "/";
  /// A directory of the host to use; empty: one that Go reads.
  std::filesystem::path directory = {};
  /// The file is hagring-<name>.pem: agents of one machine have different ones.
  std::string name = "node-ca";
};

/// What is in the host's certificate directory of ours.
struct InstalledCa {
  std::filesystem::path path;  ///< of the file, there or not, as the host names it
  std::string pem = {};        ///< its content, our first line included; empty: it isn't there
  std::optional<WallTime> since = {};  ///< when it was written; nothing: it isn't there
  /// On a file system that may begin anew with the machine (tmpfs, overlay).
  bool stateless = false;
  /// In a directory from which the host's own tools delete what they haven't made.
  bool regenerated = false;
};

/// Puts the CA into the host's certificate directory as one PEM file of our own, and takes it away
/// again. Go reads every file of /etc/ssl/certs and of /etc/pki/tls/certs but links within the
/// directory (crypto/x509/root_unix.go), so no bundle is rewritten; files that aren't ours are
/// never touched. Of the two the one is taken that can be written to and that no tool of the host's
/// generates anew, in that order of importance; links are followed as the host would.
class TrustStore {
 public:
  explicit TrustStore(TrustStoreOptions options = {});

  /// Writes the file (0644, in one step) unless it is there with this content.
  /// Errors: TrustErrc, whose messages tell the operator what it means, or the system's.
  Result<void> install(std::string_view pem);

  /// Removes the file and the <hash>.0 links that update-ca-certificates or c_rehash made to it,
  /// also when the file itself is gone already. Nothing to remove is no error. Errors as install's.
  Result<void> remove();

  /// What is there now. Errors: TrustErrc (not_ours: another's file has our name), the system's.
  Result<InstalledCa> installed() const;

  /// Since when the file has been there: a Go process that verified before doesn't know it.
  /// Errors: Errc::not_found, TrustErrc, the system's.
  Result<WallTime> installed_at() const;

  /// The file's path on the host, for people; before a success of the others, the first candidate.
  std::string path() const;

 private:
  struct Place {
    UniqueFd fd;
    std::filesystem::path directory;  ///< as the host names it, links followed
    std::filesystem::path name;       ///< one of Go's two, or the one that was told
  };
  /// Those that exist, each once.
  Result<std::vector<Place>> open_all() const;
  Result<Place> open() const;
  Result<void> remove_from(const Place& place) const;

  TrustStoreOptions options_;
  std::string file_name_;
};

}  // namespace hagring::proxy
