// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unordered_map>
#include <vector>

#include "registry/containerd/follower.hpp"
#include "registry/containerd/layer_keeper.hpp"

namespace hagring::containerd {

/// What the follower knows of containerd, for the keeper of layers.
class FollowedHost final : public LayerHost {
 public:
  /// `follower` outlives it.
  explicit FollowedHost(Follower& follower) : follower_(follower) {}

  std::shared_ptr<LeasesApi> leases() override;
  awaitable<DiscardFinding> discards() override;
  awaitable<RpcResult<std::unordered_set<registry::Digest>>> manifests() override;
  std::uint64_t image_revision() const override { return follower_.index().image_revision(); }
  std::optional<std::uint64_t> size_of(const registry::Digest& digest) const override {
    return follower_.index().size_of(digest);
  }
  Result<DiskUsage> disk() const override;
  void expect_collection() override { follower_.expect_collection(); }

 private:
  using Children = std::vector<registry::Digest>;
  awaitable<RpcResult<Children>> read_index(std::shared_ptr<Client> client,
                                            registry::Digest digest);

  Follower& follower_;
  /// Of the indexes that images point to: what is under a digest never changes.
  std::unordered_map<registry::Digest, Children> indexes_;
};

}  // namespace hagring::containerd
