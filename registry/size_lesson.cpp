// SPDX-License-Identifier: Apache-2.0
#include "registry/size_lesson.hpp"

#include "registry/content_answer.hpp"
#include "registry/manifest.hpp"

namespace hagring::registry {
namespace {

/// The most that one lesson looks for; of an index a node has one manifest, seldom two, and each
/// question for another one costs the runtime something.
constexpr std::size_t kMaxManifests = 16;

}  // namespace

awaitable<void> learn_from_store(ContentStore& store, KnownSizes& sizes, Digest top) {
  std::vector<Digest> wanted{std::move(top)};
  for (std::size_t i = 0; i < std::min(wanted.size(), kMaxManifests); ++i) {
    if (sizes.has_learned_from(wanted[i])) continue;
    const auto blob = co_await store.open(wanted[i]);
    if (!blob || blob->size > kMaxManifestBytes) continue;
    const auto content = read_file(*blob);
    if (!content) continue;
    sizes.learn(wanted[i], *content);
    const auto manifest = parse_manifest(as_bytes(*content));
    if (!manifest || manifest->kind != Manifest::Kind::index) continue;
    for (const auto& child : manifest->children) wanted.push_back(child.digest);
  }
}

}  // namespace hagring::registry
