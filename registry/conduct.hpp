// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/digest.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// Remembers, for a while, who sent wrong bytes and of what. Any thread may use it.
class Conduct {
 public:
  struct Options {
    /// A peer that alone sent content with a wrong digest.
    Duration ban = std::chrono::minutes(30);
    /// One of several that sent parts of such content: one of them lied, and a liar must not be
    /// able to have the others shut out for long.
    Duration suspicion = std::chrono::minutes(1);
    /// How long a digest that came wrong is asked of the origin before peers.
    Duration origin_first = std::chrono::minutes(10);
    /// The most that is remembered of each kind.
    std::size_t capacity = 1024;
  };
  struct Banned {
    std::string peer;
    Duration remaining;
    std::string reason;
  };

  explicit Conduct(Clock& clock) : Conduct(clock, Options()) {}
  Conduct(Clock& clock, Options options) : clock_(clock), options_(options) {}

  /// Content that is not `digest` came from `peers`, each of which sent some of it.
  void wrong_digest(const Digest& digest, const std::vector<std::string>& peers);

  bool banned(const std::string& peer) const;
  bool origin_first(const Digest& digest) const;
  /// For the status page.
  std::vector<Banned> banned() const;

 private:
  struct Ban {
    TimePoint until;
    std::string reason;
  };

  Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, Ban> bans_;
  std::unordered_map<Digest, TimePoint> origin_first_;
};

}  // namespace hagring::registry
