// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "registry/content_store.hpp"

namespace hagring::containerd {

/// Keys (ContentRouter's: digests and image names) that this node has and hasn't any longer.
struct Changes {
  std::vector<std::string> added;
  std::vector<std::string> removed;

  bool empty() const { return added.empty() && removed.empty(); }
};

/// Whether other nodes should learn that this one has `name`. Names that are digests, or contain
/// one, say no more than the digest does, which is made known anyhow (CRI stores
/// `sha256:<config digest>` and `<repository>@<digest>` beside each tag).
bool is_worth_announcing(std::string_view name);

/// What a containerd namespace holds, as far as this node has been told, and what of it changed.
/// A name counts as held while its target is. Used from one thread, but for size_of().
class ContentIndex {
 public:
  /// Bytes of a blob that is held. From any thread.
  std::optional<std::uint64_t> size_of(const registry::Digest& digest) const;
  /// What `name` points to, whether the target is held or not.
  std::optional<registry::Descriptor> target_of(const std::string& name) const;

  void add_blob(const registry::Digest& digest, std::uint64_t size);
  void remove_blob(const registry::Digest& digest);
  void set_image(const std::string& name, registry::Descriptor target);
  void remove_image(const std::string& name);

  /// Grows when an image's name comes, goes, or points elsewhere.
  std::uint64_t image_revision() const { return image_revision_; }
  /// What the images' names point to, each target once.
  std::vector<registry::Descriptor> targets() const;

  /// After everything that exists was added again, end_scan() drops what wasn't.
  void begin_scan() { ++scan_; }
  void end_scan();

  std::size_t blobs() const { return blobs_.size(); }
  std::size_t images() const { return images_.size(); }

  /// What changed since the last call: of each key only where it stands now.
  Changes take_changes();

 private:
  struct BlobEntry {
    std::uint64_t size = 0;
    std::uint64_t seen = 0;  ///< the scan that saw it last
  };
  /// What names point to: one of thousands is kept once, and each name once.
  struct Target {
    std::uint64_t size = 0;
    std::string media_type;
    std::vector<const std::string*> names;  ///< keys of images_; never none
  };
  using Targets = std::unordered_map<registry::Digest, Target>;
  struct ImageEntry {
    Targets::value_type* target = nullptr;  ///< of targets_
    std::uint64_t seen = 0;
  };

  static registry::Descriptor descriptor_of(const Targets::value_type& target);
  void note(std::string key, bool held) { changed_[std::move(key)] = held; }
  /// Of names that are worth announcing.
  void note_name(const std::string& name, bool held);
  void note_names_of(const registry::Digest& digest, bool held);
  /// `name` is a key of images_, `target` one of targets_.
  void unlink(const std::string& name, Targets::value_type& target);

  std::uint64_t scan_ = 1;
  std::uint64_t image_revision_ = 0;
  mutable std::mutex blobs_mutex_;  ///< against size_of() of other threads
  std::unordered_map<registry::Digest, BlobEntry> blobs_;
  std::unordered_map<std::string, ImageEntry> images_;
  Targets targets_;
  std::unordered_map<std::string, bool> changed_;
};

}  // namespace hagring::containerd
