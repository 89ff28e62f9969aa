// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/content_index.hpp"

#include <algorithm>
#include <unordered_set>

namespace hagring::containerd {

bool is_worth_announcing(std::string_view name) {
  return name.find('@') == std::string_view::npos && !registry::Digest::parse(name);
}

std::optional<std::uint64_t> ContentIndex::size_of(const registry::Digest& digest) const {
  const std::lock_guard lock(blobs_mutex_);
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return std::nullopt;
  return found->second.size;
}

std::optional<registry::Descriptor> ContentIndex::target_of(const std::string& name) const {
  const auto found = images_.find(name);
  if (found == images_.end()) return std::nullopt;
  return found->second.target;
}

std::vector<registry::Descriptor> ContentIndex::targets() const {
  std::vector<registry::Descriptor> targets;
  std::unordered_set<registry::Digest> named;
  for (const auto& [name, entry] : images_) {
    if (named.insert(entry.target.digest).second) targets.push_back(entry.target);
  }
  return targets;
}

void ContentIndex::add_blob(const registry::Digest& digest, std::uint64_t size) {
  {
    const std::lock_guard lock(blobs_mutex_);
    const auto [entry, added] = blobs_.try_emplace(digest);
    entry->second = {.size = size, .seen = scan_};
    if (!added) return;
  }
  note(digest.to_string(), true);
  note_names_of(digest, true);
}

void ContentIndex::remove_blob(const registry::Digest& digest) {
  {
    const std::lock_guard lock(blobs_mutex_);
    if (blobs_.erase(digest) == 0) return;
  }
  note(digest.to_string(), false);
  note_names_of(digest, false);
}

void ContentIndex::set_image(const std::string& name, registry::Descriptor target) {
  auto& entry = images_.try_emplace(name, ImageEntry{target, 0}).first->second;
  const bool is_new = entry.seen == 0;
  const bool moved = entry.target.digest != target.digest;
  entry.seen = scan_;
  if (!is_new && !moved) {
    entry.target = std::move(target);
    return;
  }
  ++image_revision_;
  if (moved) unlink(name, entry.target.digest);
  entry.target = std::move(target);
  if (!is_worth_announcing(name)) return;
  names_of_[entry.target.digest].push_back(name);
  if (blobs_.contains(entry.target.digest)) note(name, true);
}

void ContentIndex::remove_image(const std::string& name) {
  const auto found = images_.find(name);
  if (found == images_.end()) return;
  unlink(name, found->second.target.digest);
  images_.erase(found);
  ++image_revision_;
}

void ContentIndex::unlink(const std::string& name, const registry::Digest& target) {
  const auto names = names_of_.find(target);
  if (names == names_of_.end()) return;
  if (std::erase(names->second, name) > 0 && blobs_.contains(target)) note(name, false);
  if (names->second.empty()) names_of_.erase(names);
}

void ContentIndex::note_names_of(const registry::Digest& digest, bool held) {
  const auto names = names_of_.find(digest);
  if (names == names_of_.end()) return;
  for (const auto& name : names->second) note(name, held);
}

void ContentIndex::end_scan() {
  std::vector<std::string> names;
  for (const auto& [name, entry] : images_) {
    if (entry.seen != scan_) names.push_back(name);
  }
  for (const auto& name : names) remove_image(name);
  std::vector<registry::Digest> digests;
  for (const auto& [digest, entry] : blobs_) {
    if (entry.seen != scan_) digests.push_back(digest);
  }
  for (const auto& digest : digests) remove_blob(digest);
}

Changes ContentIndex::take_changes() {
  Changes changes;
  for (auto& [key, held] : changed_) {
    (held ? changes.added : changes.removed).push_back(key);
  }
  changed_.clear();
  return changes;
}

}  // namespace hagring::containerd
