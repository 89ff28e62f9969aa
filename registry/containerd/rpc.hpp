// SPDX-License-Identifier: Apache-2.0
// How gRPC's callbacks become coroutines. Only .cpp files of this folder include this.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "registry/containerd/rpc_error.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"

namespace grpc {
class Channel;
}

namespace hagring::containerd {

/// A channel to the Unix socket `path` with limits of its own and no connection yet.
std::shared_ptr<grpc::Channel> open_channel(const std::string& path);

/// What a call carries besides its request.
struct CallOptions {
  std::string containerd_namespace{};  ///< `containerd-namespace`; none if empty
  std::optional<Duration> limit{};     ///< the whole call's; none: until it is cancelled
};

void prepare(grpc::ClientContext& context, const CallOptions& options);

RpcError to_error(const grpc::Status& status);

/// Waits for the one callback that `start` arranges: gRPC's threads only post to the caller's
/// executor. Cancelling the coroutine cancels the call, whose callback then comes at once.
awaitable<grpc::Status> wait_for_status(
    grpc::ClientContext& context,
    std::function<void(std::function<void(const grpc::Status&)>)> start);

/// Makes a call of one request and one reply: `start(context, &reply, done)` is a stub's method
/// with its request bound.
template <typename Reply, typename Start>
awaitable<RpcResult<Reply>> unary(CallOptions options, Start start) {
  struct Call {
    grpc::ClientContext context;
    Reply reply;
  };
  // Owned by this frame and by gRPC's callback, whichever lives longer.
  auto call = std::make_shared<Call>();
  prepare(call->context, options);
  const auto status = co_await wait_for_status(call->context, [&](auto done) {
    start(&call->context, &call->reply,
          [call, done = std::move(done)](grpc::Status ended) { done(ended); });
  });
  if (!status.ok()) co_return to_error(status);
  co_return std::move(call->reply);
}

/// What the streams of all message types share: one waiter at a time, woken through its executor.
class StreamWaiter {
 public:
  /// Calls `start` and returns when wake() is called, from any thread; cancellation of the
  /// coroutine cancels `context`, which must lead to wake() as well.
  awaitable<void> wait(grpc::ClientContext& context, std::function<void()> start);
  void wake();

 private:
  std::mutex mutex_;
  std::function<void()> resume_;
};

/// Reads a stream of `Reply` messages. One next() at a time; before it goes, next() has to have
/// returned an error, or finish() to have been called.
template <typename Reply>
class ReplyStream {
 public:
  /// `start(context, reactor)` is a stub's method with its request bound.
  template <typename Start>
  ReplyStream(const CallOptions& options, Start start) : reactor_(std::make_shared<Reactor>()) {
    prepare(reactor_->context, options);
    reactor_->self = reactor_;
    reactor_->AddHold();
    start(&reactor_->context, reactor_.get());
    reactor_->StartCall();
  }
  ReplyStream(const ReplyStream&) = delete;
  ReplyStream& operator=(const ReplyStream&) = delete;
  ~ReplyStream() { end(); }

  /// The next message, whose content may be moved from. Errors: Errc::end_of_stream, or the call's.
  awaitable<RpcResult<Reply*>> next() {
    if (reactor_->finished()) co_return failure();
    co_await reactor_->waiter.wait(reactor_->context,
                                   [this] { reactor_->StartRead(&reactor_->reply); });
    if (reactor_->finished()) co_return failure();
    co_return &reactor_->reply;
  }

  /// Makes next() return an error soon.
  void cancel() { reactor_->context.TryCancel(); }

  /// Cancels what is left of the call and returns when gRPC has let go of it; cancellation of the
  /// caller doesn't shorten it.
  awaitable<void> finish() {
    if (reactor_->finished()) co_return;
    co_await reactor_->waiter.wait(reactor_->context, [this] { end(); });
  }

 private:
  struct Reactor final : grpc::ClientReadReactor<Reply> {
    grpc::ClientContext context;
    Reply reply;
    StreamWaiter waiter;
    std::shared_ptr<Reactor> self;  ///< gRPC's share: dropped in OnDone

    void OnReadDone(bool ok) override {
      if (ok) {
        waiter.wake();
      } else {
        release();  // OnDone wakes the reader
      }
    }
    void OnDone(const grpc::Status& ended) override {
      const auto keep = std::move(self);
      {
        const std::lock_guard lock(mutex_);
        status_ = ended;
      }
      waiter.wake();
    }
    /// Gives the hold up, so that OnDone may come. More than once is harmless.
    void release() {
      {
        const std::lock_guard lock(mutex_);
        if (released_) return;
        released_ = true;
      }
      this->RemoveHold();
    }
    std::optional<grpc::Status> finished() const {
      const std::lock_guard lock(mutex_);
      return status_;
    }

   private:
    mutable std::mutex mutex_;
    std::optional<grpc::Status> status_;
    bool released_ = false;
  };

  void end() {
    reactor_->context.TryCancel();
    reactor_->release();
  }

  RpcError failure() const {
    const auto status = *reactor_->finished();
    if (status.ok()) return {.code = Errc::end_of_stream};
    return to_error(status);
  }

  std::shared_ptr<Reactor> reactor_;
};

}  // namespace hagring::containerd
