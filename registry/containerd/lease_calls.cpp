// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/lease_calls.hpp"

namespace hagring::containerd {
namespace {

namespace api = ::containerd::services::leases::v1;

using namespace std::chrono_literals;

/// As of the client's other calls; each of these writes to containerd's database.
constexpr Duration kCallLimit = 5s;
/// A collection that is waited for goes through all of the namespace's content and snapshots.
constexpr Duration kCollectionLimit = 60s;
/// The type of a resource that is a blob (core/metadata/leases.go).
constexpr auto kContent = "content";

class LeaseCalls final : public LeasesApi {
 public:
  LeaseCalls(api::Leases::Stub& stub, RpcQueue& queue, std::string name_space)
      : stub_(stub), queue_(queue), namespace_(std::move(name_space)) {}

  awaitable<RpcResult<std::vector<Lease>>> list(std::string prefix) override {
    api::ListRequest request;
    request.add_filters("id~=\"^" + prefix + "\"");
    CO_TRY(auto reply, co_await unary<api::ListResponse>(options(), [&](auto* context) {
             return stub_.PrepareAsyncList(context, request, queue_.get());
           }));
    std::vector<Lease> leases;
    for (const auto& lease : reply.leases()) {
      if (!lease.id().starts_with(prefix)) continue;
      leases.push_back(
          {.id = lease.id(), .labels = {lease.labels().begin(), lease.labels().end()}});
    }
    co_return leases;
  }

  awaitable<RpcResult<void>> create(Lease lease) override {
    api::CreateRequest request;
    request.set_id(lease.id);
    for (const auto& [name, value] : lease.labels) (*request.mutable_labels())[name] = value;
    co_return without_value(co_await unary<api::CreateResponse>(options(), [&](auto* context) {
      return stub_.PrepareAsyncCreate(context, request, queue_.get());
    }));
  }

  awaitable<RpcResult<void>> remove(std::string id, bool collect) override {
    api::DeleteRequest request;
    request.set_id(std::move(id));
    request.set_sync(collect);
    co_return without_value(co_await unary<api::DeleteResponse>(
        options(collect ? kCollectionLimit : kCallLimit),
        [&](auto* context) { return stub_.PrepareAsyncDelete(context, request, queue_.get()); }));
  }

  awaitable<RpcResult<void>> add(std::string id, registry::Digest blob) override {
    api::AddResourceRequest request;
    request.set_id(std::move(id));
    request.mutable_resource()->set_id(blob.to_string());
    request.mutable_resource()->set_type(kContent);
    co_return without_value(co_await unary<api::AddResourceResponse>(options(), [&](auto* context) {
      return stub_.PrepareAsyncAddResource(context, request, queue_.get());
    }));
  }

  awaitable<RpcResult<std::vector<registry::Digest>>> blobs(std::string id) override {
    api::ListResourcesRequest request;
    request.set_id(std::move(id));
    CO_TRY(auto reply, co_await unary<api::ListResourcesResponse>(options(), [&](auto* context) {
             return stub_.PrepareAsyncListResources(context, request, queue_.get());
           }));
    std::vector<registry::Digest> blobs;
    for (const auto& resource : reply.resources()) {
      if (resource.type() != kContent) continue;
      if (auto digest = registry::Digest::parse(resource.id())) blobs.push_back(*std::move(digest));
    }
    co_return blobs;
  }

 private:
  CallOptions options(Duration limit = kCallLimit) const {
    return {.containerd_namespace = namespace_, .limit = limit};
  }

  template <typename T>
  static RpcResult<void> without_value(const RpcResult<T>& result) {
    if (!result) return result.error();
    return {};
  }

  api::Leases::Stub& stub_;
  RpcQueue& queue_;
  const std::string namespace_;
};

}  // namespace

std::unique_ptr<LeasesApi> call_leases(api::Leases::Stub& stub, RpcQueue& queue,
                                       std::string name_space) {
  return std::make_unique<LeaseCalls>(stub, queue, std::move(name_space));
}

}  // namespace hagring::containerd
