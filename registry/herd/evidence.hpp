// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "registry/content_store.hpp"
#include "registry/herd/batch.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// What heads have signed for blobs that turned out to be wrong, until the right bytes show who of
/// them signed what isn't so. Any thread may use it.
class Evidence {
 public:
  /// What was taken on others' word, in any order.
  using Words = std::vector<std::shared_ptr<const Batch>>;
  struct Options {
    Duration age = std::chrono::minutes(30);
    /// Of all blobs together, 32 bytes each: 16 GiB of content.
    std::size_t most_hashes = std::size_t{1} << 18;
  };
  explicit Evidence(Clock& clock) : Evidence(clock, Options()) {}
  Evidence(Clock& clock, Options options) : clock_(clock), options_(options) {}

  /// `digest` isn't that of what came on these words. The oldest of others' go for it; more than
  /// there may be at all isn't kept.
  void keep(const Digest& digest, Words words);
  /// What is known of `digest`, once.
  Words take(const Digest& digest);

  std::size_t hashes() const;

 private:
  struct Kept {
    Digest digest;
    Words words;
    std::size_t hashes = 0;
    TimePoint until;
  };
  void drop_old();
  void drop_known(const Digest& digest, Words& words) const;

  Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  std::deque<Kept> kept_;  ///< the oldest first
  std::size_t hashes_ = 0;
};

/// Whether the right content has the piece that a batch's hash number `i` says.
/// A piece beyond its end is none that it has; what can't be read convicts nobody.
bool is_true(const Batch& batch, std::size_t i, const registry::OpenBlob& right);

/// Who signed a piece that the right content hasn't got. Reads until it has looked at all of it, or
/// `stop`: not for a thread that others wait for.
std::set<NodeId> liars_among(const Evidence::Words& words, const registry::OpenBlob& right,
                             const std::atomic<bool>& stop);

}  // namespace hagring::herd
