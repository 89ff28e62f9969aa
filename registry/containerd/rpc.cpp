// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/rpc.hpp"

#include <grpcpp/create_channel.h>

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

/// Runs `initiate(resume)`, and returns when `resume` was called, on any thread; cancellation of
/// the coroutine calls `cancel`, which must lead to a call of `resume`.
awaitable<void> suspend(std::function<void(std::function<void()>)> initiate,
                        std::function<void()> cancel) {
  const auto executor = co_await asio::this_coro::executor;
  const auto arrange = [&](auto handler) {
    using Handler = decltype(handler);
    struct Waiting {
      Handler handler;
      asio::cancellation_slot slot;
      /// Counted as work, so that the context doesn't run dry while only gRPC's threads are busy.
      std::optional<asio::any_io_executor> work;
    };
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) slot.assign([&cancel](asio::cancellation_type) { cancel(); });
    // gRPC wants callbacks that can be copied: their copies own this together. The last of them
    // may go on gRPC's thread when the context is gone already, so what refers to the context is
    // given up before.
    auto waiting = std::make_shared<Waiting>(
        std::move(handler), slot,
        asio::prefer(executor, asio::execution::outstanding_work.tracked));
    initiate([waiting, executor]() {
      asio::post(executor, [waiting]() {
        if (waiting->slot.is_connected()) waiting->slot.clear();
        auto resume = std::move(waiting->handler);
        waiting->work.reset();
        std::move(resume)();
      });
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(arrange,
                                                                        asio::use_awaitable);
}

awaitable<bool> is_cancelled_already() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

std::shared_ptr<grpc::Channel> open_channel(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // containerd's server refuses the authority that gRPC makes of a Unix socket's path.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnect.count());
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLongestReconnect.count());
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

awaitable<grpc::Status> wait_for_status(
    grpc::ClientContext& context,
    std::function<void(std::function<void(const grpc::Status&)>)> start) {
  if (co_await is_cancelled_already()) co_return grpc::Status::CANCELLED;
  grpc::Status status;
  co_await suspend(
      [&](std::function<void()> resume) {
        start([&status, resume = std::move(resume)](const grpc::Status& ended) {
          status = ended;
          resume();
        });
      },
      [&context] { context.TryCancel(); });
  co_return status;
}

awaitable<void> StreamWaiter::wait(grpc::ClientContext& context, std::function<void()> start) {
  if (co_await is_cancelled_already()) context.TryCancel();
  co_await suspend(
      [&](std::function<void()> resume) {
        {
          const std::lock_guard lock(mutex_);
          resume_ = std::move(resume);
        }
        start();
      },
      [&context] { context.TryCancel(); });
}

void StreamWaiter::wake() {
  std::function<void()> resume;
  {
    const std::lock_guard lock(mutex_);
    resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume();
}

}  // namespace hagring::containerd
