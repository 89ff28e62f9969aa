// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// How long peers have lately taken to begin an answer, and so how long one of them may be silent
/// before it is slower than its fellows usually are. Any thread may use it.
class FirstByteTimes {
 public:
  struct Options {
    std::size_t remembered = 256;  ///< answers, of all peers together
    /// Answers of a peer's fellows that say something about it.
    std::size_t enough = 8;
    /// The part of them that are sooner than what counts as usual ("The Tail at Scale", Dean and
    /// Barroso, 2013: a second request after the 95th percentile costs a few per cent more).
    double usual = 0.95;
    Duration least = std::chrono::milliseconds(20);
    /// While there are too few answers: a new connection in a cluster, TLS and proof of membership
    /// included, takes a few milliseconds.
    Duration unknown = std::chrono::milliseconds(250);
  };
  struct Counters {
    std::uint64_t hedges = 0;  ///< requests in which a second peer was asked
    std::uint64_t won = 0;     ///< … and was the first to answer
  };

  FirstByteTimes() : FirstByteTimes(Options()) {}
  explicit FirstByteTimes(Options options) : options_(options) {}

  /// `peer` began to answer after `took`, its connection's making included; or was left after it.
  void note(const std::string& peer, Duration took);
  /// How long `peer` is waited for before another is asked as well: what its fellows usually take.
  /// Its own answers don't count, so that one that is always slow doesn't make that the measure.
  Duration patience(const std::string& peer) const;

  void count_hedge(bool won);
  Counters counters() const;

 private:
  struct Answer {
    std::size_t peer;  ///< a hash
    Duration took;
  };
  const Options options_;
  mutable std::mutex mutex_;
  std::deque<Answer> answers_;  ///< the oldest first
  Counters counters_;
};

}  // namespace hagring::registry
