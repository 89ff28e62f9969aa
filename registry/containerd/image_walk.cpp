// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/image_walk.hpp"

#include <unordered_set>

#include "registry/manifest.hpp"

namespace hagring::containerd {
namespace {

/// Threat: an image may be an index of indexes without end; no real one comes near.
constexpr std::size_t kMaxParts = 5000;

bool is_manifest(std::string_view media_type) {
  // OCI image-spec, media-types.md, and Docker's image manifest version 2, schema 2.
  return media_type == "application/vnd.oci.image.index.v1+json" ||
         media_type == "application/vnd.oci.image.manifest.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json" ||
         media_type == "application/vnd.docker.distribution.manifest.v2+json";
}

/// Whether the part is there, and then in the index.
awaitable<RpcResult<bool>> find_part(Client& client, ContentIndex& index, registry::Digest digest) {
  if (index.size_of(digest)) co_return true;
  auto blob = co_await client.blob(digest);
  if (blob) {
    index.add_blob(digest, blob->size);
    co_return true;
  }
  if (blob.error().code == Errc::not_found) co_return false;
  co_return blob.error();
}

}  // namespace

awaitable<RpcResult<void>> walk_image(std::shared_ptr<Client> client, ContentIndex& index,
                                      registry::Descriptor target) {
  std::unordered_set<registry::Digest> visited;
  std::vector<registry::Descriptor> open{std::move(target)};
  while (!open.empty() && visited.size() < kMaxParts) {
    const auto part = std::move(open.back());
    open.pop_back();
    if (!visited.insert(part.digest).second) continue;
    CO_TRY(const bool is_there, co_await find_part(*client, index, part.digest));
    if (!is_there || !is_manifest(part.media_type)) continue;
    const auto bytes = co_await client->read(part.digest, registry::kMaxManifestBytes);
    if (!bytes) {
      // Collected meanwhile, or larger than a manifest may be; anything else concerns containerd.
      const auto& code = bytes.error().code;
      if (code == Errc::not_found || code == Errc::too_large) continue;
      co_return bytes.error();
    }
    auto manifest = registry::parse_manifest(*bytes);
    if (!manifest) continue;
    for (auto& child : manifest->children) open.push_back(std::move(child));
  }
  co_return RpcResult<void>();
}

}  // namespace hagring::containerd
