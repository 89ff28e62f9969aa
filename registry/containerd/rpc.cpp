// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/rpc.hpp"

#include <grpcpp/create_channel.h>
#include <pthread.h>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <chrono>

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;

/// containerd's own limit (defaults.DefaultMaxRecvMsgSize).
constexpr int kMaxMessageBytes = 16 * 1024 * 1024;
constexpr std::chrono::milliseconds kFirstReconnect = 100ms;
constexpr std::chrono::milliseconds kLongestReconnect = 1s;
/// From connect(2) to the server's first HTTP/2 frame (gRPC's own default is 20 s).
constexpr std::chrono::milliseconds kConnectLimit = 5s;

error_code code_of(grpc::StatusCode status) {
  switch (status) {
    case grpc::StatusCode::CANCELLED:
      return Errc::cancelled;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Errc::timed_out;
    case grpc::StatusCode::NOT_FOUND:
      return Errc::not_found;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Errc::too_large;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Errc::unsupported;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::DATA_LOSS:
      return Errc::bad_message;
    default:
      return Errc::unavailable;
  }
}

std::string name_of(grpc::StatusCode status) {
  // The names of gRPC's status codes (grpc/doc/statuscodes.md), as Go's tools write them.
  static constexpr const char* kNames[] = {
      "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated",
  };
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kNames) ? kNames[index] : "Unknown";
}

/// What a tag points to; the queue's thread deletes it.
struct Completion {
  std::function<void(bool)> resume;
};

}  // namespace

std::shared_ptr<grpc::Channel> open_channel(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // containerd's server refuses the authority that gRPC makes of a Unix socket's path.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnect.count());
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectLimit.count());
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnect.count());
  // A new channel must not inherit the waiting time of the one before.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix://" + path, grpc::InsecureChannelCredentials(), arguments);
}

void prepare(grpc::ClientContext& context, const CallOptions& options) {
  if (!options.containerd_namespace.empty()) {
    context.AddMetadata("containerd-namespace", options.containerd_namespace);
  }
  if (options.limit) {
    context.set_deadline(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(*options.limit));
  }
}

RpcError to_error(const grpc::Status& status) {
  return {.code = code_of(status.error_code()),
          .status = name_of(status.error_code()),
          .text = status.error_message()};
}

awaitable<bool> complete(grpc::ClientContext& context, std::function<void(void* tag)> start) {
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) context.TryCancel();
  const auto executor = co_await asio::this_coro::executor;
  const auto initiate = [&](auto handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([&context](asio::cancellation_type) { context.TryCancel(); });
    }
    // Counted as work, so that the context doesn't run dry while only gRPC's threads are busy.
    auto work = asio::prefer(executor, asio::execution::outstanding_work.tracked);
    // std::function takes only what can be copied; there is one owner all the same.
    auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
    auto resume = [work, waiting, slot](bool ok) {
      asio::post(work, [waiting, slot, ok]() mutable {
        if (slot.is_connected()) slot.clear();
        auto resumed = std::move(*waiting);
        std::move(resumed)(ok);
      });
    };
    start(new Completion{std::move(resume)});
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
      initiate, asio::use_awaitable);
}

RpcQueue::RpcQueue()
    : thread_([this] {
        ::pthread_setname_np(::pthread_self(), "containerd-rpc");
        void* tag = nullptr;
        bool ok = false;
        while (queue_.Next(&tag, &ok)) {
          const std::unique_ptr<Completion> completion(static_cast<Completion*>(tag));
          completion->resume(ok);
        }
      }) {}

RpcQueue::~RpcQueue() {
  queue_.Shutdown();
  thread_.join();
}

}  // namespace hagring::containerd
