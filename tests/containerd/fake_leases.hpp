// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/core.h>

#include <map>
#include <set>

#include "registry/containerd/layer_keeper.hpp"

namespace hagring::containerd {

/// containerd's leases, in memory. Each call takes a turn of the executor.
class FakeLeases final : public LeasesApi {
 public:
  struct Entry {
    Lease lease;
    std::vector<registry::Digest> blobs{};
  };

  awaitable<RpcResult<std::vector<Lease>>> list(std::string prefix) override;
  awaitable<RpcResult<void>> create(Lease lease) override;
  awaitable<RpcResult<void>> remove(std::string id, bool collect) override;
  awaitable<RpcResult<void>> add(std::string id, registry::Digest blob) override;
  awaitable<RpcResult<std::vector<registry::Digest>>> blobs(std::string id) override;

  using Entries = std::map<std::string, Entry>;
  Entries entries;
  int failing = 0;                                ///< so many calls from now on fail
  std::function<void(const Entry&)> collected{};  ///< a lease was removed, with collection

 private:
  awaitable<RpcResult<void>> turn();
};

/// A node whose runtime throws layers away.
class FakeHost final : public LayerHost {
 public:
  std::shared_ptr<LeasesApi> leases() override { return connected; }
  awaitable<DiscardFinding> discards() override {
    ++asked;
    co_return finding;
  }
  awaitable<RpcResult<std::unordered_set<registry::Digest>>> manifests() override {
    co_return std::unordered_set<registry::Digest>(images.begin(), images.end());
  }
  std::uint64_t image_revision() const override { return revision; }
  std::optional<std::uint64_t> size_of(const registry::Digest& digest) const override {
    const auto found = sizes.find(digest);
    return found == sizes.end() ? std::nullopt : std::optional(found->second);
  }
  Result<DiskUsage> disk() const override { return usage; }
  void expect_collection() override { ++collections; }

  std::shared_ptr<FakeLeases> store = std::make_shared<FakeLeases>();
  std::shared_ptr<LeasesApi> connected = store;
  DiscardFinding finding{.discards = Discards::yes, .how = "the test says so"};
  int asked = 0;
  std::set<registry::Digest> images;
  std::uint64_t revision = 1;
  std::map<registry::Digest, std::uint64_t> sizes;
  DiskUsage usage{.capacity = 1000, .available = 500};
  int collections = 0;
};

}  // namespace hagring::containerd
