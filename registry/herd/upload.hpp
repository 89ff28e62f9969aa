// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>

#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// How much a node may send to the children of all its herds together, and what that makes of it as
/// a parent. Any thread may use it.
class Upload {
 public:
  /// `limit` in bytes a second; 0: as much as there is.
  explicit Upload(std::uint64_t limit) : limit_(limit) {}

  std::uint64_t limit() const { return limit_; }
  /// What may be sent at once after a pause: a tenth of a second's worth, two pieces at least.
  std::uint64_t burst() const;

  /// Takes the turn of `bytes`, at most burst(), and returns how long to wait until then. Whoever
  /// comes first is first: children that each ask for one piece at a time get equal shares. Over
  /// any time t no more than limit * t + burst falls due.
  Duration take_turn(std::uint64_t bytes, TimePoint now);

  /// A turn that was taken, and that nobody waits for any more.
  void give_back(std::uint64_t bytes);

  /// So many bytes have come from parents.
  void streamed(std::uint64_t bytes, TimePoint now);

  /// As in MemberFacts.
  struct Share {
    std::uint8_t units = 2;
    bool slow = false;

    bool operator==(const Share&) const = default;
  };
  /// What the limit allows of the rate at which herds have streamed to this node, at most. What the
  /// origin gave doesn't count: where all nodes have the same limit, none gets more than that from
  /// the others, and each is as good a parent as any.
  Share share() const;

 private:
  const std::uint64_t limit_;
  mutable std::mutex mutex_;
  TimePoint booked_{};          ///< until then the limit is used up
  TimePoint since_{};           ///< what has come since then is counted
  std::uint64_t streamed_ = 0;  ///< so much
  double peak_ = 0;             ///< in bytes a second
};

}  // namespace hagring::herd
