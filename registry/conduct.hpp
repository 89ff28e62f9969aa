// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/digest.hpp"
#include "registry/first_byte_times.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// Remembers, for a while, who sent wrong bytes and of what, who could not be reached, and how soon
/// the others answer. Any thread may use it.
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
    /// How long a peer that could not be reached is not asked; doubled each time that it happens
    /// again, up to the longest.
    Duration first_pause = std::chrono::seconds(5);
    Duration longest_pause = std::chrono::seconds(60);
    /// How long the others wait for whoever tries it again: a connect's and an answer's time.
    Duration trial = std::chrono::seconds(4);
    /// The most that is remembered of each kind.
    std::size_t capacity = 1024;
    FirstByteTimes::Options first_bytes{};
  };
  /// Somebody who isn't asked now.
  struct Shunned {
    std::string peer;
    Duration remaining;
    std::string reason;
  };

  explicit Conduct(Clock& clock) : Conduct(clock, Options()) {}
  Conduct(Clock& clock, Options options)
      : clock_(clock), options_(options), first_bytes_(options.first_bytes) {}

  /// Content that is not `digest` came from `peers`, each of which sent some of it. `alone`: from
  /// the one peer and nobody else.
  void wrong_digest(const Digest& digest, const std::vector<std::string>& peers, bool alone);

  /// `peer` has sent what nobody else can have made or damaged: it is banned. `reason` is for
  /// people.
  void lied(const std::string& peer, std::string reason);
  /// What `peer` has signed for `digest`, as the one that had it from the origin, isn't so. The
  /// origin itself, or a cache before it, may have given it that: the first time it is suspicious,
  /// with another digest within a ban's time it is banned.
  void signed_false(const std::string& peer, const Digest& digest);

  /// `peer` did not answer, or not as it should. A node that is down would cost every request the
  /// time to find that out. `reason` is for people.
  void out_of_reach(const std::string& peer, std::string reason = "");
  /// `peer` has answered.
  void in_reach(const std::string& peer);

  /// Whether `peer` may be asked now. Of those who ask after its pause one gets a yes, and tries.
  bool may_ask(const std::string& peer);
  /// How soon peers answer.
  FirstByteTimes& first_bytes() { return first_bytes_; }
  const FirstByteTimes& first_bytes() const { return first_bytes_; }

  bool banned(const std::string& peer) const;
  bool origin_first(const Digest& digest) const;
  /// For the status page: who is banned, and who is out of reach.
  std::vector<Shunned> banned() const;
  std::vector<Shunned> paused() const;

 private:
  struct Ban {
    TimePoint until;
    std::string reason;
  };

  struct Pause {
    TimePoint until;
    Duration length;
    std::string reason;
    bool trying = false;  ///< one request asks it, until `until`
  };
  struct Strike {
    Digest digest;
    TimePoint until;
  };

  void ban(const std::string& peer, TimePoint until, std::string reason);

  Clock& clock_;
  const Options options_;
  FirstByteTimes first_bytes_;
  mutable std::mutex mutex_;
  std::map<std::string, Ban> bans_;
  std::map<std::string, Pause> pauses_;
  std::map<std::string, Strike> strikes_;
  std::unordered_map<Digest, TimePoint> origin_first_;
};

}  // namespace hagring::registry
