// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/unique_fd.hpp"
#include "userspace/proxy/trust_errc.hpp"

namespace hagring::proxy {

/// What HostsFolder::place has done.
struct PlacedHosts {
  std::set<std::string> covered;  ///< namespaces whose clients are given the CA
  /// Whether a file was written that wasn't there or had other content.
  bool changed = false;
};

/// The directory that the runtime's `config_path` names, where each registry's namespace has a
/// directory: any *.crt in it is a CA that is trusted for that registry, besides the system's
/// roots, from the next pull on (core/remotes/docker/config/hosts.go, loadCertFiles). Only files of
/// ours are written or removed, and directories that hold nothing else.
class HostsFolder {
 public:
  /// `directory` as the runtime names it, on the host that is seen at `host`. The files are
  /// hagring-<name>.crt: agents of one machine have different ones.
  HostsFolder(std::filesystem::path host, std::filesystem::path directory,
              const std::string& name = "node-ca");

  /// Puts the CA where `namespaces` are looked up. Left out are those that have a hosts.toml, which
  /// says itself what is trusted, and, where there is a `_default`, those without a directory: one
  /// of ours would hide `_default` from them. Errors: Errc::not_found when the directory isn't
  /// there; TrustErrc::read_only, not_permitted; the system's.
  Result<PlacedHosts> place(const std::vector<std::string>& namespaces, std::string_view pem) const;

  /// Takes all of ours away again; returns how many there were. A directory that isn't there has
  /// none. Errors as place's.
  Result<std::size_t> remove() const;

  const std::filesystem::path& directory() const { return directory_; }
  const std::string& file_name() const { return file_name_; }

 private:
  /// The directory's descriptor; empty, with errno, when there is none.
  UniqueFd open() const;

  std::filesystem::path host_;
  std::filesystem::path directory_;
  std::string file_name_;
};

}  // namespace hagring::proxy
