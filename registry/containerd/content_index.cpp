// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/content_index.hpp"

#include <algorithm>
#include <utility>

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

registry::Descriptor ContentIndex::descriptor_of(const Targets::value_type& target) {
  return {
      .digest = target.first, .size = target.second.size, .media_type = target.second.media_type};
}

std::optional<registry::Descriptor> ContentIndex::target_of(const std::string& name) const {
  const auto found = images_.find(name);
  if (found == images_.end()) return std::nullopt;
  return descriptor_of(*found->second.target);
}

std::vector<registry::Descriptor> ContentIndex::targets() const {
  std::vector<registry::Descriptor> targets;
  targets.reserve(targets_.size());
  for (const auto& target : targets_) targets.push_back(descriptor_of(target));
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
  auto& [key, entry] = *images_.try_emplace(name).first;
  auto& now = *targets_.try_emplace(std::move(target.digest)).first;
  now.second.size = target.size;
  now.second.media_type = std::move(target.media_type);
  entry.seen = scan_;
  auto* before = std::exchange(entry.target, &now);
  if (before == &now) return;
  ++image_revision_;
  if (before != nullptr) unlink(key, *before);
  now.second.names.push_back(&key);
  if (blobs_.contains(now.first)) note_name(key, true);
}

void ContentIndex::remove_image(const std::string& name) {
  const auto found = images_.find(name);
  if (found == images_.end()) return;
  unlink(found->first, *found->second.target);
  images_.erase(found);
  ++image_revision_;
}

void ContentIndex::unlink(const std::string& name, Targets::value_type& target) {
  auto& [digest, known] = target;
  std::erase(known.names, &name);
  if (blobs_.contains(digest)) note_name(name, false);
  if (known.names.empty()) targets_.erase(targets_.find(digest));
}

void ContentIndex::note_name(const std::string& name, bool held) {
  if (is_worth_announcing(name)) note(name, held);
}

void ContentIndex::note_names_of(const registry::Digest& digest, bool held) {
  const auto found = targets_.find(digest);
  if (found == targets_.end()) return;
  for (const auto* name : found->second.names) note_name(*name, held);
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
