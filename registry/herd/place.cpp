// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/place.hpp"

#include <algorithm>
#include <string_view>

#include "userspace/base/hasher.hpp"

namespace hagring::herd {
namespace {

constexpr std::string_view kContext = "hagring herd 1";

Key sha256_key(std::string_view text) {
  const Bytes hash = sha256(as_bytes(text));
  Key key;
  std::copy_n(hash.begin(), key.size(), key.begin());
  return key;
}

Key distance(const Key& place, const NodeId& node) {
  Key key = place_of(node);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] ^= place[i];
  return key;
}

}  // namespace

std::string place_name(const HerdId& herd) {
  std::string name(kContext);
  // A zone has no zero byte, and a digest starts with its algorithm: no two herds share a name.
  name += '\0';
  name += herd.zone;
  name += '\0';
  name += herd.digest.to_string();
  return name;
}

Key place_of(const HerdId& herd) { return sha256_key(place_name(herd)); }
Key place_of(const NodeId& node) { return sha256_key(node); }

bool nearer(const Key& place, const NodeId& a, const NodeId& b) {
  return distance(place, a) < distance(place, b);
}

std::vector<NodeId> rank(const Key& place, std::vector<NodeId> nodes, std::size_t count) {
  std::vector<std::pair<Key, NodeId>> keyed;
  keyed.reserve(nodes.size());
  for (NodeId& node : nodes) keyed.emplace_back(distance(place, node), std::move(node));
  std::sort(keyed.begin(), keyed.end());
  keyed.erase(std::unique(keyed.begin(), keyed.end()), keyed.end());
  std::vector<NodeId> nearest;
  for (std::size_t i = 0; i < std::min(count, keyed.size()); ++i) {
    nearest.push_back(std::move(keyed[i].second));
  }
  return nearest;
}

}  // namespace hagring::herd
