// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "registry/bounded_map.hpp"
#include "registry/content_store.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::containerd {

/// Adds the repositories that a blob's label names, if it is one that says where the blob is from:
/// `containerd.io/distribution.source.<registry's host>` with a list of repositories, separated by
/// commas (core/remotes/docker/handler.go). Names are taken as they are.
void add_sources(std::string_view key, std::string_view value,
                 std::vector<registry::ContentSource>& into);

/// What blobs' labels have said lately, for a while: more of them come with each image that shares
/// the blob. Of a blob that has just come it isn't kept that it has none: they come after it. Any
/// thread may use it.
class KnownSources {
 public:
  using Sources = std::vector<registry::ContentSource>;
  static constexpr Duration kFresh = std::chrono::minutes(1);
  /// The same for a blob without any, of which this was so when it was already this old.
  static constexpr Duration kFreshNone = std::chrono::seconds(5);
  static constexpr Duration kSettled = std::chrono::seconds(10);
  static constexpr std::size_t kCapacity = 4096;

  explicit KnownSources(Clock& clock) : clock_(clock) {}

  /// `age` is the blob's.
  void learn(const registry::Digest& digest, Sources sources, Duration age);
  /// nullopt unless it was learnt within kFresh or kFreshNone.
  std::optional<Sources> fresh(const registry::Digest& digest) const;
  /// The same, however long ago: better than nothing while containerd doesn't answer.
  std::optional<Sources> last(const registry::Digest& digest) const;

 private:
  struct Entry {
    Sources sources{};
    TimePoint at{};
  };
  Clock& clock_;
  mutable std::mutex mutex_;
  registry::BoundedMap<registry::Digest, Entry> entries_{kCapacity};
};

}  // namespace hagring::containerd
