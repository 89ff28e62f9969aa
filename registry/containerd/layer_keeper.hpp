// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "registry/containerd/content_folder.hpp"
#include "registry/containerd/discard_setting.hpp"
#include "registry/containerd/image_layers.hpp"
#include "registry/containerd/kept_layers.hpp"
#include "registry/containerd/leases.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::containerd {

/// When layers are kept.
enum class KeepLayers { automatic, always, never };  ///< automatic: where the runtime discards them

struct LayerKeeperOptions {
  KeepLayers mode = KeepLayers::automatic;
  /// Of all layers kept; 0: none. Some forty images of 250 MB, a tenth of the 100 GB disk that
  /// managed nodes usually have; smaller disks are guarded by disk_limit.
  std::uint64_t budget = std::uint64_t{10} << 30;
  /// Since the manifest was last served to this node's client.
  Duration age = std::chrono::hours(24 * 7);
  /// Percent of the image file system, below kubelet's imageGCHighThresholdPercent (85 by default),
  /// at which it begins to delete images, and its eviction threshold (imagefs.available < 15 %).
  unsigned disk_limit = 80;
  std::string owner = "node";  ///< tells the leases of one agent from those of another
  Duration look_interval = std::chrono::seconds(1);
  /// The first interval; each is twice the one before. What is pulled before containerd has been
  /// asked for the first time isn't kept.
  Duration first_look = std::chrono::milliseconds(100);
  /// So often the leases are compared with containerd's own list of them.
  Duration review_interval = std::chrono::minutes(1);
  /// After a failed call.
  Duration retry = std::chrono::seconds(5);
  /// For a pull to end, before which the runtime has no image with the manifest. (An image that is
  /// deleted within a look_interval of its pull's end has this grace too; kubelet leaves images
  /// alone for imageMinimumGCAge, 2 min by default.)
  Duration pull_grace = std::chrono::hours(1);
};

/// Why layers were let go.
enum class Release { over_budget, too_old, disk_full, image_gone, not_wanted };
inline constexpr std::size_t kReleases = 5;
std::string_view to_string(Release reason);

/// What is kept and why, for people.
struct LayerKeeperState {
  DiscardFinding finding{};
  bool may_keep = true;  ///< by what it has been told, whatever the runtime does
  bool keeping = false;  ///< layers of new pulls are kept
  std::size_t images = 0;
  std::size_t pulling = 0;  ///< of those, how many the runtime has not been seen to have yet
  std::uint64_t bytes = 0;
  std::optional<WallTime> oldest{};        ///< when the oldest was served
  std::optional<unsigned> disk_percent{};  ///< how full the image file system is
  std::array<std::uint64_t, kReleases> released{};
  std::string last_released{};  ///< `docker.io/library/nginx, 51200 bytes: over the budget`
  std::string refused{};        ///< what was not kept last, and why
  std::string problem{};        ///< why containerd couldn't be asked; empty when it could
};

/// What the keeper needs of the node. Used on its thread.
class LayerHost {
 public:
  virtual ~LayerHost() = default;
  /// null while containerd isn't connected; another one after each restart of it.
  virtual std::shared_ptr<LeasesApi> leases() = 0;
  virtual awaitable<DiscardFinding> discards() = 0;
  /// The manifests that the runtime's images lead to, directly or by way of an index.
  virtual awaitable<RpcResult<std::unordered_set<registry::Digest>>> manifests() = 0;
  /// Grows when an image comes or goes.
  virtual std::uint64_t image_revision() const = 0;
  /// Bytes of a blob that is there.
  virtual std::optional<std::uint64_t> size_of(const registry::Digest& digest) const = 0;
  virtual Result<DiskUsage> disk() const = 0;
  /// Content may be collected from now on.
  virtual void expect_collection() = 0;
};

/// Keeps the layers of pulled images that the runtime would throw away, by leases, within limits of
/// bytes, age and disk, and as long as the runtime has the image: the content store has no second
/// copy of anything. What it knows it reads back from containerd after a restart of either. Lives
/// on one thread; only keeping() may be called from others.
class LayerKeeper {
 public:
  LayerKeeper(Clock& clock, LayerKeeperOptions options, LayerHost& host);

  /// Runs until it is cancelled.
  awaitable<void> run();

  /// Makes a lease for the layers of an image whose manifest is being served, before they are
  /// there. What is beyond the limits isn't kept. Errors: Errc::unavailable, or the call's.
  awaitable<Result<void>> keep(ImageLayers image);

  bool keeping() const { return keeping_.load(std::memory_order_relaxed); }
  LayerKeeperState state() const;

 private:
  awaitable<RpcResult<void>> look();
  awaitable<RpcResult<void>> attach(std::shared_ptr<LeasesApi> leases);
  awaitable<RpcResult<void>> review(LeasesApi& leases);
  awaitable<RpcResult<void>> adopt(LeasesApi& leases, Lease lease);
  awaitable<RpcResult<void>> release_unused(LeasesApi& leases);
  awaitable<RpcResult<void>> release_beyond_limits(LeasesApi& leases);
  awaitable<RpcResult<void>> release_for_disk(LeasesApi& leases);
  awaitable<RpcResult<void>> release(LeasesApi& leases, registry::Digest manifest, Release reason,
                                     bool collect);
  awaitable<RpcResult<void>> make(LeasesApi& leases, KeptImage image);
  bool may_keep() const;
  bool is_wanted() const;
  bool is_unwanted() const;
  std::string reason_against(const KeptImage& image) const;
  bool is_disk_full();
  Duration margin() const { return options_.age / 8; }

  Clock& clock_;
  const LayerKeeperOptions options_;
  LayerHost& host_;
  KeptLayers kept_;
  LayerKeeperState state_;
  std::atomic<bool> keeping_ = false;
  /// The connection whose leases are known; the host owns it.
  std::weak_ptr<LeasesApi> attached_;
  TimePoint next_review_{};
  TimePoint next_unused_{};
  std::optional<std::uint64_t> images_seen_;  ///< the revision of images that was looked at
};

}  // namespace hagring::containerd
