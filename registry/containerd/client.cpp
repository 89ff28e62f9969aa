// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/client.hpp"

#include <grpcpp/channel.h>

#include <boost/asio/post.hpp>

#include "registry/containerd/event_reader.hpp"
#include "registry/containerd/lease_calls.hpp"
#include "registry/containerd/proto/content.grpc.pb.h"
#include "registry/containerd/proto/events.grpc.pb.h"
#include "registry/containerd/proto/images.grpc.pb.h"
#include "registry/containerd/proto/introspection.grpc.pb.h"
#include "registry/containerd/proto/namespaces.grpc.pb.h"
#include "registry/containerd/proto/version.grpc.pb.h"
#include "registry/containerd/rpc.hpp"
#include "registry/containerd/source_labels.hpp"

namespace hagring::containerd {
namespace {

namespace content = ::containerd::services::content::v1;
namespace images_api = ::containerd::services::images::v1;
namespace introspection = ::containerd::services::introspection::v1;
namespace namespaces_api = ::containerd::services::namespaces::v1;
namespace version_api = ::containerd::services::version::v1;

using namespace std::chrono_literals;

/// containerd answers within milliseconds; its database may be held up by a busy disk.
constexpr Duration kCallLimit = 5s;
/// For what goes through the whole content store.
constexpr Duration kListLimit = 60s;
/// So many records are converted before others get their turn on the thread.
constexpr std::size_t kConvertedAtOnce = 500;

template <typename Info>
std::optional<Blob> to_blob(const Info& info) {
  auto digest = registry::Digest::parse(info.digest());
  if (!digest || info.size() < 0) return std::nullopt;
  return Blob{.digest = *std::move(digest), .size = static_cast<std::uint64_t>(info.size())};
}

/// Copies: a string that outlives the reply would keep, one in each page, all the memory that the
/// thread which read the reply took for it.
std::optional<Image> to_image(const images_api::Image& image) {
  auto digest = registry::Digest::parse(image.target().digest());
  if (!digest || image.target().size() < 0) return std::nullopt;
  return Image{.name = image.name(),
               .target = {.digest = *std::move(digest),
                          .size = static_cast<std::uint64_t>(image.target().size()),
                          .media_type = image.target().media_type()}};
}

class ListedBlobs final : public BlobPages {
 public:
  ListedBlobs(content::Content::Stub& stub, RpcQueue& queue, const CallOptions& options)
      : stream_(options, [&](grpc::ClientContext* context) {
          return stub.PrepareAsyncList(context, content::ListContentRequest(), queue.get());
        }) {}

  awaitable<RpcResult<std::vector<Blob>>> next() override {
    CO_TRY(auto* page, co_await stream_.next());
    std::vector<Blob> blobs;
    blobs.reserve(static_cast<std::size_t>(page->info_size()));
    for (const auto& info : page->info()) {
      if (auto blob = to_blob(info)) blobs.push_back(*std::move(blob));
    }
    co_return blobs;
  }

 private:
  ReplyStream<content::ListContentResponse> stream_;
};

}  // namespace

struct Client::Stubs {
  explicit Stubs(const std::string& socket)
      : channel(open_channel(socket)),
        content_stub(channel),
        events_stub(channel),
        images_stub(channel),
        introspection_stub(channel),
        leases_stub(channel),
        namespaces_stub(channel),
        version_stub(channel) {}

  RpcQueue queue;
  std::shared_ptr<grpc::Channel> channel;
  content::Content::Stub content_stub;
  ::containerd::services::events::v1::Events::Stub events_stub;
  images_api::Images::Stub images_stub;
  introspection::Introspection::Stub introspection_stub;
  ::containerd::services::leases::v1::Leases::Stub leases_stub;
  namespaces_api::Namespaces::Stub namespaces_stub;
  version_api::Version::Stub version_stub;

  awaitable<RpcResult<content::InfoResponse>> info(registry::Digest digest, std::string name_space);

  std::unique_ptr<LeasesApi> leases{};
};

Client::Client(const std::string& socket, std::string name_space)
    : stubs_(std::make_unique<Stubs>(socket)), namespace_(std::move(name_space)) {
  stubs_->leases = call_leases(stubs_->leases_stub, stubs_->queue, namespace_);
}

Client::~Client() = default;

awaitable<RpcResult<std::string>> Client::version() {
  const version_api::VersionRequest request;
  CO_TRY(auto reply,
         co_await unary<version_api::VersionResponse>({.limit = kCallLimit}, [&](auto* context) {
           return stubs_->version_stub.PrepareAsyncVersion(context, request, stubs_->queue.get());
         }));
  co_return std::move(*reply.mutable_version());
}

awaitable<RpcResult<std::string>> Client::content_root() {
  auto root = co_await plugin_export("io.containerd.content.v1", "", "root");
  if (!root && root.error().code == Errc::unsupported) {
    co_return RpcError{
        .code = Errc::unsupported,
        .text = "its content store is not in a folder (no content plugin has a root)"};
  }
  co_return root;
}

awaitable<RpcResult<std::string>> Client::plugin_export(std::string type, std::string id,
                                                        std::string name) {
  introspection::PluginsRequest request;
  request.add_filters("type==" + type);
  CO_TRY(auto reply,
         co_await unary<introspection::PluginsResponse>({.limit = kCallLimit}, [&](auto* context) {
           return stubs_->introspection_stub.PrepareAsyncPlugins(context, request,
                                                                 stubs_->queue.get());
         }));
  for (const auto& plugin : reply.plugins()) {
    const auto exported = plugin.exports().find(name);
    if (exported != plugin.exports().end() && (id.empty() || plugin.id() == id)) {
      co_return exported->second;
    }
  }
  co_return RpcError{.code = Errc::unsupported, .text = "no plugin " + type + " exports " + name};
}

awaitable<RpcResult<std::vector<std::string>>> Client::namespaces() {
  const namespaces_api::ListNamespacesRequest request;
  CO_TRY(auto reply, co_await unary<namespaces_api::ListNamespacesResponse>(
                         {.limit = kCallLimit}, [&](auto* context) {
                           return stubs_->namespaces_stub.PrepareAsyncList(context, request,
                                                                           stubs_->queue.get());
                         }));
  std::vector<std::string> names;
  for (auto& found : *reply.mutable_namespaces()) names.push_back(std::move(*found.mutable_name()));
  co_return names;
}

awaitable<RpcResult<std::vector<Image>>> Client::images() {
  const images_api::ListImagesRequest request;
  CO_TRY(auto reply,
         co_await unary<images_api::ListImagesResponse>(
             {.containerd_namespace = namespace_, .limit = kListLimit}, [&](auto* context) {
               return stubs_->images_stub.PrepareAsyncList(context, request, stubs_->queue.get());
             }));
  const auto executor = co_await asio::this_coro::executor;
  std::vector<Image> images;
  images.reserve(static_cast<std::size_t>(reply.images_size()));
  for (const auto& record : reply.images()) {
    if (auto image = to_image(record)) images.push_back(*std::move(image));
    if (images.size() % kConvertedAtOnce == 0) co_await asio::post(executor, asio::use_awaitable);
  }
  co_return images;
}

awaitable<RpcResult<Image>> Client::image(std::string name) {
  images_api::GetImageRequest request;
  request.set_name(std::move(name));
  CO_TRY(auto reply,
         co_await unary<images_api::GetImageResponse>(
             {.containerd_namespace = namespace_, .limit = kCallLimit}, [&](auto* context) {
               return stubs_->images_stub.PrepareAsyncGet(context, request, stubs_->queue.get());
             }));
  if (auto image = to_image(reply.image())) co_return *std::move(image);
  co_return RpcError{.code = Errc::bad_message,
                     .text = "the image's target is no sha256 or sha512"};
}

awaitable<RpcResult<content::InfoResponse>> Client::Stubs::info(registry::Digest digest,
                                                                std::string name_space) {
  content::InfoRequest request;
  request.set_digest(digest.to_string());
  co_return co_await unary<content::InfoResponse>(
      {.containerd_namespace = std::move(name_space), .limit = kCallLimit},
      [&](auto* context) { return content_stub.PrepareAsyncInfo(context, request, queue.get()); });
}

awaitable<RpcResult<BlobSources>> Client::sources(registry::Digest digest) {
  CO_TRY(const auto reply, co_await stubs_->info(digest, namespace_));
  const auto& info = reply.info();
  const auto since_1970 = std::chrono::seconds(info.created_at().seconds()) +
                          std::chrono::nanoseconds(info.created_at().nanos());
  BlobSources sources{.all = {}, .created = WallTime(since_1970)};
  for (const auto& [key, value] : info.labels()) add_sources(key, value, sources.all);
  co_return sources;
}

awaitable<RpcResult<Blob>> Client::blob(registry::Digest digest) {
  CO_TRY(const auto reply, co_await stubs_->info(digest, namespace_));
  auto blob = to_blob(reply.info());
  if (!blob || blob->digest != digest) {
    co_return RpcError{.code = Errc::bad_message, .text = "an answer about another blob"};
  }
  co_return *std::move(blob);
}

awaitable<RpcResult<Bytes>> Client::read(registry::Digest digest, std::size_t limit) {
  content::ReadContentRequest request;
  request.set_digest(digest.to_string());
  ReplyStream<content::ReadContentResponse> stream(
      {.containerd_namespace = namespace_, .limit = kCallLimit}, [&](grpc::ClientContext* context) {
        return stubs_->content_stub.PrepareAsyncRead(context, request, stubs_->queue.get());
      });
  Bytes bytes;
  for (;;) {
    auto part = co_await stream.next();
    if (!part) {
      if (part.error().code == Errc::end_of_stream) co_return bytes;
      co_return part.error();
    }
    const auto data = as_bytes((*part)->data());
    if (data.size() > limit - bytes.size()) break;
    bytes.insert(bytes.end(), data.begin(), data.end());
  }
  co_await stream.finish();
  co_return RpcError{.code = Errc::too_large};
}

std::unique_ptr<BlobPages> Client::blobs() {
  return std::make_unique<ListedBlobs>(
      stubs_->content_stub, stubs_->queue,
      CallOptions{.containerd_namespace = namespace_, .limit = kListLimit});
}

std::unique_ptr<EventStream> Client::events() {
  return read_events(stubs_->events_stub, stubs_->queue, namespace_);
}

awaitable<RpcResult<std::vector<std::string>>> Client::ingests() {
  const content::ListStatusesRequest request;
  CO_TRY(auto reply,
         co_await unary<content::ListStatusesResponse>(
             {.containerd_namespace = namespace_, .limit = kCallLimit}, [&](auto* context) {
               return stubs_->content_stub.PrepareAsyncListStatuses(context, request,
                                                                    stubs_->queue.get());
             }));
  std::vector<std::string> refs;
  for (auto& status : *reply.mutable_statuses()) refs.push_back(std::move(*status.mutable_ref()));
  co_return refs;
}

awaitable<RpcResult<void>> Client::abort(std::string ref) {
  content::AbortRequest request;
  request.set_ref(std::move(ref));
  auto reply = co_await unary<content::AbortResponse>(
      {.containerd_namespace = namespace_, .limit = kCallLimit}, [&](auto* context) {
        return stubs_->content_stub.PrepareAsyncAbort(context, request, stubs_->queue.get());
      });
  if (!reply) co_return reply.error();
  co_return RpcResult<void>();
}

LeasesApi& Client::leases() { return *stubs_->leases; }

}  // namespace hagring::containerd
