// SPDX-License-Identifier: Apache-2.0
// How gRPC's completion queue becomes coroutines. Only .cpp files of this folder include this.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "registry/containerd/rpc_error.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"

namespace grpc {
class Channel;
}

namespace hagring::containerd {

/// A channel to the Unix socket `path` with limits of its own and no connection yet.
std::shared_ptr<grpc::Channel> open_channel(const std::string& path);

/// A completion queue and the one thread that empties it, which only posts to the callers'
/// executors. Not gRPC's callback API: the queue behind that is one for the process, and gRPC 1.51
/// aborts (`assertion failed: prior > 0`) now and then when the last channel that used it goes,
/// which each reconnect would make happen.
class RpcQueue {
 public:
  RpcQueue();
  /// Every call has to have ended before.
  ~RpcQueue();
  RpcQueue(const RpcQueue&) = delete;
  RpcQueue& operator=(const RpcQueue&) = delete;

  grpc::CompletionQueue* get() { return &queue_; }

 private:
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

/// What a call carries besides its request.
struct CallOptions {
  std::string containerd_namespace{};  ///< `containerd-namespace`; none if empty
  std::optional<Duration> limit{};     ///< the whole call's; none: until it is cancelled
};

void prepare(grpc::ClientContext& context, const CallOptions& options);

RpcError to_error(const grpc::Status& status);

/// Calls `start` with a tag and returns what the queue says of that tag. Cancelling the coroutine
/// cancels the call, whose operations then end at once; what they write to is safe until then.
awaitable<bool> complete(grpc::ClientContext& context, std::function<void(void* tag)> start);

/// Makes a call of one request and one reply: `start(context)` is a stub's PrepareAsync method.
template <typename Reply, typename Start>
awaitable<RpcResult<Reply>> unary(CallOptions options, Start start) {
  grpc::ClientContext context;
  prepare(context, options);
  Reply reply;
  grpc::Status status;
  const auto reader = start(&context);
  reader->StartCall();
  co_await complete(context, [&](void* tag) { reader->Finish(&reply, &status, tag); });
  if (!status.ok()) co_return to_error(status);
  co_return reply;
}

/// Reads a stream of `Reply` messages, one next() at a time. Before it goes, next() has to have
/// returned an error, or finish() to have been called.
template <typename Reply>
class ReplyStream {
 public:
  /// `start(context)` is a stub's PrepareAsync method.
  template <typename Start>
  ReplyStream(const CallOptions& options, Start start) {
    prepare(context_, options);
    reader_ = start(&context_);
  }
  ReplyStream(const ReplyStream&) = delete;
  ReplyStream& operator=(const ReplyStream&) = delete;

  /// Sends the request; next() does it by itself.
  awaitable<void> start() {
    if (started_) co_return;
    started_ = true;
    co_await complete(context_, [this](void* tag) { reader_->StartCall(tag); });
  }

  /// The next message, whose content may be moved from. Errors: Errc::end_of_stream, or the call's.
  awaitable<RpcResult<Reply*>> next() {
    co_await start();
    if (!status_) {
      const bool has_message =
          co_await complete(context_, [this](void* tag) { reader_->Read(&reply_, tag); });
      if (has_message) co_return &reply_;
      co_await end();
    }
    if (status_->ok()) co_return RpcError{.code = Errc::end_of_stream};
    co_return to_error(*status_);
  }

  /// Makes next() return an error soon.
  void cancel() { context_.TryCancel(); }

  /// Cancels what is left of the call; not while next() is under way.
  awaitable<void> finish() {
    cancel();
    if (started_ && !status_) co_await end();
  }

 private:
  awaitable<void> end() {
    grpc::Status status;
    co_await complete(context_, [&](void* tag) { reader_->Finish(&status, tag); });
    status_ = status;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReader<Reply>> reader_;
  Reply reply_;
  bool started_ = false;
  std::optional<grpc::Status> status_;
};

}  // namespace hagring::containerd
