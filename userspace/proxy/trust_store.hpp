// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "userspace/base/clock.hpp"
#include "userspace/base/unique_fd.hpp"
#include "userspace/proxy/trust_errc.hpp"

namespace hagring::proxy {

/// Our files in certificate directories begin so.
inline constexpr const char* kTrustFilePrefix = "hagring-";

struct TrustStoreOptions {
  /// Where the host's file system is mounted; links in it are followed as the host would.
  std::filesystem::path host = "/";
  /// A directory of the host to use; empty: the first of Go's that exists.
  std::filesystem::path directory = {};
  /// The file is hagring-<name>.pem: agents of one machine have different ones.
  std::string name = "node-ca";
};

/// Puts the CA into the host's certificate directory as one PEM file of our own, and takes it away
/// again. Go reads every file there (crypto/x509/root_unix.go), so no bundle is rewritten; files
/// that aren't ours are never touched.
class TrustStore {
 public:
  explicit TrustStore(TrustStoreOptions options = {});

  /// Writes the file (0644, in one step) unless it is there with this content.
  /// Errors: TrustErrc, whose messages tell the operator what it means, or the system's.
  Result<void> install(std::string_view pem);

  /// Removes the file and the <hash>.0 links that update-ca-certificates or c_rehash made to it,
  /// also when the file itself is gone already. Nothing to remove is no error. Errors as install's.
  Result<void> remove();

  /// Since when the file has been there: a Go process that verified before doesn't know it.
  /// Errors: Errc::not_found, TrustErrc, the system's.
  Result<WallTime> installed_at() const;

  /// The file's path on the host, for people; before a success of the others, the first candidate.
  std::string path() const;

 private:
  struct Place {
    UniqueFd fd;
    std::filesystem::path directory;  ///< as the host names it
  };
  Result<Place> open() const;

  TrustStoreOptions options_;
  std::string file_name_;
};

}  // namespace hagring::proxy
