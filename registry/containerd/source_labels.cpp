// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/source_labels.hpp"

namespace hagring::containerd {

void add_sources(std::string_view key, std::string_view value,
                 std::vector<registry::ContentSource>& into) {
  constexpr std::string_view kKey = "containerd.io/distribution.source.";
  if (!key.starts_with(kKey)) return;
  auto host = std::string(key.substr(kKey.size()));
  // Go's url.Hostname() takes the brackets off an IPv6 address.
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  while (!value.empty()) {
    const auto comma = value.find(',');
    const auto repository = value.substr(0, comma);
    value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    if (!repository.empty()) {
      into.push_back({.registry = host, .repository = std::string(repository)});
    }
  }
}

void KnownSources::learn(const registry::Digest& digest, Sources sources, Duration age) {
  if (sources.empty() && age < kSettled) return;
  const std::lock_guard lock(mutex_);
  entries_.touch(digest) = {.sources = std::move(sources), .at = clock_.now()};
}

std::optional<KnownSources::Sources> KnownSources::fresh(const registry::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = entries_.find(digest);
  if (entry == nullptr) return std::nullopt;
  const auto limit = entry->sources.empty() ? kFreshNone : kFresh;
  if (clock_.now() - entry->at > limit) return std::nullopt;
  return entry->sources;
}

std::optional<KnownSources::Sources> KnownSources::last(const registry::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = entries_.find(digest);
  if (entry == nullptr) return std::nullopt;
  return entry->sources;
}

}  // namespace hagring::containerd
