// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/layer_host.hpp"

#include "registry/manifest.hpp"

namespace hagring::containerd {
namespace {

bool is_index(std::string_view media_type) {
  return media_type == "application/vnd.oci.image.index.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

}  // namespace

std::shared_ptr<LeasesApi> FollowedHost::leases() {
  const auto client = follower_.client();
  if (!client || !follower_.state().connected) return nullptr;
  // Goes with the client, which it therefore shares.
  return {client, &client->leases()};
}

awaitable<DiscardFinding> FollowedHost::discards() {
  const auto client = follower_.client();
  if (!client) co_return DiscardFinding{.how = "containerd isn't connected"};
  const auto& state = follower_.state();
  co_return co_await find_discards(client, {.socket = state.socket,
                                            .version = state.version,
                                            .pid = follower_.pid(),
                                            .host_root = follower_.options().host_root});
}

awaitable<RpcResult<std::unordered_set<registry::Digest>>> FollowedHost::manifests() {
  const auto client = follower_.client();
  if (!client) co_return RpcError{.code = Errc::unavailable};
  std::unordered_set<registry::Digest> found;
  std::unordered_map<registry::Digest, Children> indexes;
  for (const auto& target : follower_.index().targets()) {
    found.insert(target.digest);
    if (!is_index(target.media_type)) continue;
    auto known = indexes_.extract(target.digest);
    if (!known) {
      CO_TRY(auto children, co_await read_index(client, target.digest));
      found.insert(children.begin(), children.end());
      indexes.emplace(target.digest, std::move(children));
    } else {
      found.insert(known.mapped().begin(), known.mapped().end());
      indexes.insert(std::move(known));
    }
  }
  indexes_ = std::move(indexes);
  co_return found;
}

awaitable<RpcResult<FollowedHost::Children>> FollowedHost::read_index(
    std::shared_ptr<Client> client, registry::Digest digest) {
  Children children;
  const auto bytes = co_await client->read(digest, registry::kMaxManifestBytes);
  if (!bytes) {
    const auto& code = bytes.error().code;
    if (code == Errc::not_found || code == Errc::too_large) co_return children;
    co_return bytes.error();
  }
  if (const auto manifest = registry::parse_manifest(*bytes)) {
    for (const auto& child : manifest->children) children.push_back(child.digest);
  }
  co_return children;
}

Result<DiskUsage> FollowedHost::disk() const {
  if (!follower_.folder()) return Errc::unavailable;
  return follower_.folder()->usage();
}

}  // namespace hagring::containerd
