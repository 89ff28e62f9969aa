// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "registry/pull_record.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// A read of a manifest or blob that is being answered, as it stands.
struct PullUnderWay {
  Pull pull{};                               ///< `source` none: nobody has begun to answer yet
  std::uint64_t first = 0;                   ///< where in the content the answer begins
  std::optional<std::uint64_t> length{};     ///< bytes that the answer's head has announced
  Duration age{0};                           ///< since the request
  std::optional<double> bytes_per_second{};  ///< of the last second or so; none yet at the begin
};

/// The reads that are being answered at this moment, for `hagring status`. There are no more than
/// connections. Any thread may use it; a read's bytes are counted without a lock.
class PullsUnderWay {
 public:
  /// How often an entry's rate is taken.
  static constexpr Duration kRateInterval = std::chrono::milliseconds(500);

  /// One of them, from its begin to its end. Used on the thread that answers it.
  class Entry {
   public:
    /// `all` and `pull` outlive it.
    Entry(PullsUnderWay& all, const Pull& pull);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

    /// The answer begins.
    void begun(std::uint64_t first, std::optional<std::uint64_t> length);
    /// Takes from the pull's record what has changed: bytes and who sends them.
    void update();

   private:
    friend class PullsUnderWay;
    PullUnderWay snapshot(TimePoint now) const;

    PullsUnderWay& all_;
    const Pull& pull_;
    std::atomic<std::uint64_t> bytes_{0};
    // Changed by its own thread alone, under the lock.
    PullUnderWay shown_;
    std::uint64_t marked_bytes_ = 0;
    TimePoint marked_at_;
    std::list<Entry*>::iterator place_;
  };

  /// `clock` outlives it.
  explicit PullsUnderWay(const Clock& clock) : clock_(clock) {}

  /// How many there are of each source.
  std::array<std::size_t, kPullSources> counts() const;
  /// The oldest first, `most` of them at the most.
  std::vector<PullUnderWay> oldest(std::size_t most) const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::list<Entry*> entries_;
};

}  // namespace hagring::registry
