// SPDX-License-Identifier: Apache-2.0
#include "registry/known_sizes.hpp"

#include <algorithm>

#include "registry/manifest.hpp"

namespace hagring::registry {
namespace {

/// Pulls that go on at the same time, and how much of each is remembered.
constexpr std::size_t kImages = 64;
constexpr std::size_t kLayers = 128;

}  // namespace

void KnownSizes::learn(const Digest& digest, std::string_view manifest) {
  const auto parsed = parse_manifest(as_bytes(manifest));
  if (!parsed) return;
  const std::lock_guard lock(mutex_);
  touch(digest).learned_from = true;
  for (const auto& child : parsed->children) touch(child.digest).size = child.size;
  const auto& children = parsed->children;
  if (parsed->kind != Manifest::Kind::image || children.size() < 3) return;
  std::vector<Digest> layers;
  for (const auto& child : std::span(children).subspan(1)) {
    if (layers.size() < kLayers) layers.push_back(child.digest);
  }
  std::erase(images_, layers);
  images_.push_front(std::move(layers));
  if (images_.size() > kImages) images_.pop_back();
}

std::vector<Digest> KnownSizes::layers_with(const Digest& layer) const {
  const std::lock_guard lock(mutex_);
  for (const auto& image : images_) {
    if (std::ranges::find(image, layer) != image.end()) return image;
  }
  return {};
}

/// The entry of `digest`, now the newest; the oldest makes room for it.
KnownSizes::Known& KnownSizes::touch(const Digest& digest) {
  if (const auto known = sizes_.find(digest); known != sizes_.end()) {
    order_.splice(order_.end(), order_, known->second.place);
    return known->second;
  }
  if (sizes_.size() == capacity_) {
    sizes_.erase(order_.front());
    order_.pop_front();
  }
  const auto place = order_.insert(order_.end(), digest);
  return sizes_.emplace(digest, Known{.size = {}, .place = place}).first->second;
}

bool KnownSizes::has_learned_from(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = sizes_.find(digest);
  return known != sizes_.end() && known->second.learned_from;
}

std::optional<std::uint64_t> KnownSizes::of(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = sizes_.find(digest);
  return known == sizes_.end() ? std::nullopt : known->second.size;
}

}  // namespace hagring::registry
