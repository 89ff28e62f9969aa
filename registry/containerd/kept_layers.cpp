// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/kept_layers.hpp"

#include <algorithm>
#include <utility>

namespace hagring::containerd {

std::optional<KeptImage> KeptLayers::put(KeptImage image) {
  auto former = take(image.manifest);
  count(image);
  const auto manifest = image.manifest;
  images_.emplace(manifest, std::move(image));
  return former;
}

std::optional<KeptImage> KeptLayers::take(const registry::Digest& manifest) {
  auto node = images_.extract(manifest);
  if (!node) return std::nullopt;
  discount(node.mapped());
  return std::move(node.mapped());
}

void KeptLayers::clear() {
  images_.clear();
  layers_.clear();
  bytes_ = 0;
}

void KeptLayers::set_size(const registry::Digest& layer, std::uint64_t size) {
  const auto found = layers_.find(layer);
  if (found == layers_.end()) return;
  bytes_ = bytes_ - found->second.size + size;
  found->second.size = size;
}

KeptImage* KeptLayers::find(const registry::Digest& manifest) {
  const auto found = images_.find(manifest);
  return found == images_.end() ? nullptr : &found->second;
}

const KeptImage* KeptLayers::oldest() const {
  const auto found = std::ranges::min_element(
      images_, {}, [](const auto& entry) { return std::tie(entry.second.served, entry.first); });
  return found == images_.end() ? nullptr : &found->second;
}

std::vector<registry::Digest> KeptLayers::manifests() const {
  std::vector<registry::Digest> all;
  all.reserve(images_.size());
  for (const auto& [manifest, image] : images_) all.push_back(manifest);
  return all;
}

std::size_t KeptLayers::unseen() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(images_, [](const auto& entry) { return !entry.second.seen; }));
}

std::uint64_t KeptLayers::bytes_of_its_own(const KeptImage& image) const {
  std::uint64_t bytes = 0;
  for (const auto& layer : image.layers) {
    const auto found = layers_.find(layer.digest);
    if (found != layers_.end() && found->second.images == 1) bytes += found->second.size;
  }
  return bytes;
}

void KeptLayers::count(const KeptImage& image) {
  for (const auto& layer : image.layers) {
    auto& counted = layers_[layer.digest];
    if (counted.images++ > 0) continue;
    counted.size = layer.size;
    bytes_ += layer.size;
  }
}

void KeptLayers::discount(const KeptImage& image) {
  for (const auto& layer : image.layers) {
    const auto found = layers_.find(layer.digest);
    if (found == layers_.end() || --found->second.images > 0) continue;
    bytes_ -= found->second.size;
    layers_.erase(found);
  }
}

}  // namespace hagring::containerd
