// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/cri_probe.hpp"

#include <grpcpp/channel.h>

#include "registry/containerd/proto/cri.grpc.pb.h"
#include "registry/containerd/rpc.hpp"

namespace hagring::containerd {
namespace {

namespace cri = ::runtime::v1;

using namespace std::chrono_literals;

constexpr Duration kCallLimit = 5s;
constexpr auto kMissing =
    "containerd has no CRI at this socket: its cri plugin is disabled (disabled_plugins in "
    "config.toml), or failed to load (ctr plugins ls says why)";

}  // namespace

struct CriProbe::Stubs {
  explicit Stubs(const std::string& socket)
      : channel(open_channel(socket)), images(channel), runtime(channel) {}

  RpcQueue queue;
  std::shared_ptr<grpc::Channel> channel;
  cri::ImageService::Stub images;
  cri::RuntimeService::Stub runtime;
};

CriProbe::CriProbe(const std::string& socket) : stubs_(std::make_unique<Stubs>(socket)) {}

CriProbe::~CriProbe() = default;

awaitable<Result<PullOutcome>> CriProbe::pull(std::string image, Duration limit) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(std::move(image));
  const auto reply = co_await unary<cri::PullImageResponse>({.limit = limit}, [&](auto* context) {
    return stubs_->images.PrepareAsyncPullImage(context, request, stubs_->queue.get());
  });
  if (reply) co_return PullOutcome{.pulled = true, .image_ref = reply->image_ref()};
  const auto& error = reply.error();
  if (error.status == "Unimplemented") {
    co_return PullOutcome{.status = error.status, .text = kMissing, .cri_is_missing = true};
  }
  // Unavailable is also what containerd passes on from a registry: only without its words about
  // the image is it the socket's failure.
  const bool is_about_the_pull = error.text.find("pull") != std::string::npos;
  const bool is_about_the_call =
      error.code == Errc::timed_out || is_cancelled(error.code) || error.status == "Unavailable";
  if (is_about_the_call && !is_about_the_pull) co_return error.code;
  co_return PullOutcome{.status = error.status, .text = error.text};
}

awaitable<Result<RuntimeVersion>> CriProbe::runtime_version() {
  const cri::VersionRequest request;
  CO_TRY(auto reply,
         co_await unary<cri::VersionResponse>({.limit = kCallLimit}, [&](auto* context) {
           return stubs_->runtime.PrepareAsyncVersion(context, request, stubs_->queue.get());
         }));
  co_return RuntimeVersion{.name = reply.runtime_name(), .version = reply.runtime_version()};
}

awaitable<Result<std::string>> CriProbe::configuration() {
  cri::StatusRequest request;
  request.set_verbose(true);
  CO_TRY(auto reply, co_await unary<cri::StatusResponse>({.limit = kCallLimit}, [&](auto* context) {
           return stubs_->runtime.PrepareAsyncStatus(context, request, stubs_->queue.get());
         }));
  const auto config = reply.info().find("config");
  if (config == reply.info().end()) co_return Errc::not_found;
  co_return config->second;
}

}  // namespace hagring::containerd
