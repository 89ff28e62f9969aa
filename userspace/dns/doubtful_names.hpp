// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/base/resolver.hpp"

namespace hagring::dns {

/// Names that name servers have failed to answer a moment ago. Safe from any thread.
class DoubtfulNames {
 public:
  explicit DoubtfulNames(const Clock& clock) : clock_(clock) {}

  /// `name` (in lower case, without a final dot) couldn't be resolved just now. `limit`: what a
  /// lookup may take all the same, if the name servers may only be slow; without it they failed.
  void add(const std::string& name, std::optional<Duration> limit = std::nullopt);
  /// It could.
  void remove(const std::string& name);
  bool contains(const std::string& name) const { return find(name).has_value(); }

  struct Doubt {
    TimePoint until;
    std::optional<Duration> limit;
  };
  std::optional<Doubt> find(const std::string& name) const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Doubt> doubts_;
};

/// Another resolver, with little patience for doubtful names: without a name server getaddrinfo(3)
/// takes ten seconds and more to find that out, for each of a pull's requests. Not without asking,
/// for one lost datagram makes a name doubtful. Errors beyond the other's: OwnErrc::cut_short.
class ImpatientResolver final : public Resolver {
 public:
  struct Options {
    /// Where name servers have failed, rather than been silent.
    Duration limit_if_failed = std::chrono::milliseconds(500);
  };

  /// All references outlive the resolver.
  ImpatientResolver(Clock& clock, Resolver& resolver, const DoubtfulNames& doubtful)
      : ImpatientResolver(clock, resolver, doubtful, Options()) {}
  ImpatientResolver(Clock& clock, Resolver& resolver, const DoubtfulNames& doubtful,
                    Options options)
      : clock_(clock), resolver_(resolver), doubtful_(doubtful), options_(options) {}

  awaitable<Result<Addresses>> resolve(std::string name) override;

 private:
  Clock& clock_;
  Resolver& resolver_;
  const DoubtfulNames& doubtful_;
  const Options options_;
};

}  // namespace hagring::dns
