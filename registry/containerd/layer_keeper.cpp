// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/layer_keeper.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "registry/containerd/lease_text.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::containerd {
namespace {

constexpr auto kPart = "layers";

WallTime after(WallTime time, Duration duration) {
  return time + std::chrono::duration_cast<WallTime::duration>(duration);
}

}  // namespace

std::string_view to_string(Release reason) {
  switch (reason) {
    case Release::over_budget:
      return "over the budget";
    case Release::too_old:
      return "too old";
    case Release::disk_full:
      return "the image file system is filling up";
    case Release::image_gone:
      return "the runtime has no such image any more";
    case Release::not_wanted:
      break;
  }
  return "not to be kept any longer";
}

LayerKeeper::LayerKeeper(Clock& clock, LayerKeeperOptions options, LayerHost& host)
    : clock_(clock), options_(std::move(options)), host_(host) {}

bool LayerKeeper::may_keep() const {
  return options_.budget > 0 && options_.mode != KeepLayers::never;
}

bool LayerKeeper::is_wanted() const {
  if (!may_keep()) return false;
  return options_.mode == KeepLayers::always || state_.finding.discards == Discards::yes;
}

/// While it isn't known whether the runtime discards layers, none are let go for that.
bool LayerKeeper::is_unwanted() const {
  if (!may_keep()) return true;
  return options_.mode == KeepLayers::automatic && state_.finding.discards == Discards::no;
}

awaitable<void> LayerKeeper::run() {
  auto interval = options_.first_look;
  while (!co_await asked_to_stop()) {
    const auto looked = co_await look();
    auto wait = std::exchange(interval, std::min(2 * interval, options_.look_interval));
    auto problem = looked ? std::string() : looked.error().to_string();
    if (!looked && !is_cancelled(looked.error().code)) {
      attached_.reset();
      wait = options_.retry;
      if (problem != state_.problem) {
        log::warning(kPart, "containerd's leases can't be looked after: {}; trying again", problem);
      }
    }
    state_.problem = std::move(problem);
    if (co_await asked_to_stop()) break;
    co_await clock_.sleep_for(wait);
  }
  keeping_ = false;
}

awaitable<RpcResult<void>> LayerKeeper::look() {
  const auto leases = host_.leases();
  if (!leases) co_return RpcResult<void>();
  const bool is_another = attached_.owner_before(leases) || leases.owner_before(attached_);
  if (is_another) CO_CHECK(co_await attach(leases));
  if (clock_.now() >= next_review_) CO_CHECK(co_await review(*leases));
  CO_CHECK(co_await release_unused(*leases));
  CO_CHECK(co_await release_beyond_limits(*leases));
  co_return co_await release_for_disk(*leases);
}

awaitable<RpcResult<void>> LayerKeeper::attach(std::shared_ptr<LeasesApi> leases) {
  auto finding = co_await host_.discards();
  if (finding.how != state_.finding.how || finding.discards != state_.finding.discards) {
    log::info(kPart, "containerd throws unpacked layers away: {} ({})", to_string(finding.discards),
              finding.how);
  }
  state_.finding = std::move(finding);
  keeping_ = is_wanted();
  CO_CHECK(co_await review(*leases));
  images_seen_.reset();
  attached_ = leases;
  co_return RpcResult<void>();
}

/// Compares what is known with containerd's list: leases of a former life are taken over, and those
/// that somebody has deleted, or that have expired, are forgotten.
awaitable<RpcResult<void>> LayerKeeper::review(LeasesApi& leases) {
  std::unordered_map<std::string, registry::Digest> known;
  for (const auto& manifest : kept_.manifests()) {
    if (const auto* image = kept_.find(manifest); image->made) {
      known.emplace(image->lease, manifest);
    }
  }
  CO_TRY(auto listed, co_await leases.list(lease_prefix(options_.owner)));
  std::vector<Lease> strange;
  for (auto& lease : listed) {
    if (known.erase(lease.id) == 0) strange.push_back(std::move(lease));
  }
  for (const auto& [id, manifest] : known) {
    if (const auto* image = kept_.find(manifest); image != nullptr && image->lease == id) {
      kept_.take(manifest);
    }
  }
  for (auto& lease : strange) CO_CHECK(co_await adopt(leases, std::move(lease)));
  if (is_unwanted()) {
    for (const auto& manifest : kept_.manifests()) {
      CO_CHECK(co_await release(leases, manifest, Release::not_wanted, false));
    }
  }
  next_review_ = clock_.now() + options_.review_interval;
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> LayerKeeper::adopt(LeasesApi& leases, Lease lease) {
  auto image = read_lease(lease);
  auto blobs = co_await leases.blobs(lease.id);
  if (!blobs && blobs.error().code != Errc::not_found) co_return blobs.error();
  // keep() may have made it just now, or a newer one.
  auto* known = image ? kept_.find(image->manifest) : nullptr;
  if (known != nullptr && known->lease == lease.id) co_return RpcResult<void>();
  std::string dropped = lease.id;
  if (image && blobs && (known == nullptr || known->served < image->served)) {
    for (auto& blob : *blobs) {
      const auto size = host_.size_of(blob).value_or(0);
      image->layers.push_back({.digest = std::move(blob), .size = size});
    }
    auto former = kept_.put(*std::move(image));
    if (!former) co_return RpcResult<void>();
    dropped = former->lease;
  }
  const auto removed = co_await leases.remove(dropped, false);
  if (!removed && removed.error().code != Errc::not_found) co_return removed.error();
  co_return RpcResult<void>();
}

/// Whose image the runtime has deleted: the disk is to be free then.
awaitable<RpcResult<void>> LayerKeeper::release_unused(LeasesApi& leases) {
  const auto revision = host_.image_revision();
  if (kept_.size() == 0 || (images_seen_ == revision && clock_.now() < next_unused_)) {
    co_return RpcResult<void>();
  }
  CO_TRY(const auto present, co_await host_.manifests());
  for (const auto& manifest : kept_.manifests()) {
    auto* image = kept_.find(manifest);
    if (image == nullptr) continue;
    if (present.contains(manifest)) {
      // Its pull has ended: layers whose snapshot the runtime had already were not fetched.
      for (const auto& layer : image->layers) {
        if (image->seen) break;
        kept_.set_size(layer.digest, host_.size_of(layer.digest).value_or(0));
      }
      image->seen = true;
    } else if (image->made &&
               (image->seen || clock_.wall() > after(image->served, options_.pull_grace))) {
      CO_CHECK(co_await release(leases, manifest, Release::image_gone, false));
    }
  }
  images_seen_ = revision;
  next_unused_ = clock_.now() + options_.review_interval;
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> LayerKeeper::release_beyond_limits(LeasesApi& leases) {
  while (const auto* oldest = kept_.oldest()) {
    const bool too_old = clock_.wall() > after(oldest->served, options_.age);
    if (!too_old && kept_.bytes() <= options_.budget) break;
    CO_CHECK(co_await release(leases, oldest->manifest,
                              too_old ? Release::too_old : Release::over_budget, false));
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> LayerKeeper::release_for_disk(LeasesApi& leases) {
  while (is_disk_full() && !co_await asked_to_stop()) {
    const auto* oldest = kept_.oldest();
    if (oldest == nullptr) break;
    CO_CHECK(co_await release(leases, oldest->manifest, Release::disk_full, true));
  }
  co_return RpcResult<void>();
}

bool LayerKeeper::is_disk_full() {
  const auto usage = host_.disk();
  if (!usage) return false;
  state_.disk_percent = usage->percent();
  return usage->percent() >= options_.disk_limit;
}

awaitable<RpcResult<void>> LayerKeeper::release(LeasesApi& leases, registry::Digest manifest,
                                                Release reason, bool collect) {
  const auto* known = kept_.find(manifest);
  const auto bytes = known == nullptr ? 0 : kept_.bytes_of_its_own(*known);
  const auto image = kept_.take(manifest);
  if (!image) co_return RpcResult<void>();
  const auto removed = co_await leases.remove(image->lease, collect);
  if (!removed && removed.error().code != Errc::not_found) co_return removed.error();
  ++state_.released[static_cast<std::size_t>(reason)];
  state_.last_released = fmt::format("{}, {} bytes: {}", image->image, bytes, to_string(reason));
  log::info(kPart, "let go of the layers of {}", state_.last_released);
  host_.expect_collection();
  co_return RpcResult<void>();
}

std::string LayerKeeper::reason_against(const KeptImage& image) const {
  // Threat: sizes are the manifest's to claim, and their sum may be more than 64 bits hold.
  std::uint64_t left = options_.budget;
  for (const auto& layer : image.layers) {
    if (layer.size > left) return "its layers have more bytes than all that may be kept";
    left -= layer.size;
  }
  return {};
}

awaitable<Result<void>> LayerKeeper::keep(ImageLayers served) {
  const auto leases = host_.leases();
  if (!keeping() || !leases) co_return Errc::unavailable;
  const auto now = clock_.wall();
  if (auto* known = kept_.find(served.manifest)) {
    // Its lease says another time then, by less than the margin that its expiry has.
    const bool recent = now < after(known->served, margin());
    if (recent || !known->made) co_return Result<void>();
  }
  KeptImage image{.lease = lease_id(options_.owner, served.manifest, now),
                  .manifest = served.manifest,
                  .image = std::move(served.image),
                  .served = now,
                  .layers = {}};
  for (const auto& layer : served.layers) image.layers.push_back({layer.digest, layer.size});
  auto against = reason_against(image);
  if (against.empty() && is_disk_full()) {
    against = fmt::format("the image file system is {} % full", *state_.disk_percent);
  }
  if (!against.empty()) {
    state_.refused = image.image + ": " + against;
    log::info(kPart, "the layers of {} are not kept: {}", image.image, against);
    co_return Result<void>();
  }
  const auto made = co_await make(*leases, std::move(image));
  if (!made) {
    log::warning(kPart, "no lease for the layers of {}: {}; the runtime will throw them away",
                 served.manifest.to_string(), made.error().to_string());
    co_return made.error();
  }
  co_return Result<void>();
}

awaitable<RpcResult<void>> LayerKeeper::make(LeasesApi& leases, KeptImage image) {
  const auto lease = make_lease(image, after(after(image.served, options_.age), margin()));
  const auto manifest = image.manifest;
  const auto layers = image.layers;
  const auto former = kept_.put(std::move(image));
  auto done = co_await leases.create(lease);
  for (const auto& layer : layers) {
    if (done) done = co_await leases.add(lease.id, layer.digest);
  }
  auto* entry = kept_.find(manifest);
  const bool is_ours = entry != nullptr && entry->lease == lease.id;
  if (done && is_ours) entry->made = true;
  if (!done && is_ours) kept_.take(manifest);
  if (!done || !is_ours) (void)co_await leases.remove(lease.id, false);
  if (done && former) (void)co_await leases.remove(former->lease, false);
  co_return done;
}

LayerKeeperState LayerKeeper::state() const {
  auto state = state_;
  state.may_keep = may_keep();
  state.keeping = keeping();
  state.images = kept_.size();
  state.pulling = kept_.unseen();
  state.bytes = kept_.bytes();
  if (const auto* oldest = kept_.oldest()) state.oldest = oldest->served;
  return state;
}

}  // namespace hagring::containerd
