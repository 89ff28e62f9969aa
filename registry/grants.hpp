// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "registry/bounded_map.hpp"
#include "registry/digest.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// Who has been let into which repository by its registry, and when. Credentials are kept as a hash
/// under a key of this process's own, never as they are, and nothing is kept over a restart. Any
/// thread may use it.
class Grants {
 public:
  struct Options {
    std::size_t grants = 16UL * 1024;
    std::size_t contents = 16UL * 1024;
    std::size_t challenges = 1024;
    std::size_t challenge_bytes = 2048;  ///< longer ones aren't kept
  };

  explicit Grants(Clock& clock) : Grants(clock, Options()) {}
  Grants(Clock& clock, Options options);

  /// The registry of `repository` has let in who came with `authorization`, the value of that
  /// field; empty: an anonymous client.
  void allow(std::string_view authorization, const std::string& repository);
  /// It has turned them away.
  void deny(std::string_view authorization, const std::string& repository);
  /// Whether it has let them in within the last `window`, and not turned them away since.
  bool allowed(std::string_view authorization, const std::string& repository,
               Duration window) const;

  /// The registry has shown that `digest` is content of `repository`.
  void confirm(const Digest& digest, const std::string& repository);
  bool confirmed(const Digest& digest, const std::string& repository) const;

  /// The WWW-Authenticate field with which a registry asks for credentials for `repository`.
  void challenged(const std::string& repository, std::string_view challenge);
  std::optional<std::string> challenge(const std::string& repository) const;

 private:
  std::string key(std::string_view authorization, const std::string& repository) const;

  Clock& clock_;
  const Options options_;
  std::array<unsigned char, 32> secret_{};
  mutable std::mutex mutex_;
  BoundedMap<std::string, TimePoint> grants_;
  BoundedMap<std::string, bool> contents_;
  BoundedMap<std::string, std::string> challenges_;
};

}  // namespace hagring::registry
