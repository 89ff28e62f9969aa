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
/// commas (core/remotes/docker/handler.go). What is no repository's name is left out.
void add_sources(std::string_view key, std::string_view value,
                 std::vector<registry::ContentSource>& into);

/// What blobs' labels have said lately. Only what said something is kept: labels come a moment
/// after the blob, and more of them with each image that shares it. Any thread may use it.
class KnownSources {
 public:
  using Sources = std::vector<registry::ContentSource>;
  static constexpr Duration kFresh = std::chrono::minutes(1);
  static constexpr std::size_t kCapacity = 4096;

  explicit KnownSources(Clock& clock) : clock_(clock) {}

  void learn(const registry::Digest& digest, Sources sources);
  /// nullopt unless it was learnt within kFresh.
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
