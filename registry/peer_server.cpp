// SPDX-License-Identifier: Apache-2.0
#include "registry/peer_server.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <unordered_set>

#include "userspace/base/address.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::registry {
namespace {

using asio::ip::tcp;

constexpr std::string_view kPart = "peer-server";
/// How long accepting rests when the system can't give a connection (EMFILE, ENFILE, ENOMEM).
constexpr auto kAcceptRest = std::chrono::milliseconds(200);
/// What may still come from a peer after our last word, and for how long.
constexpr auto kLinger = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 64 * 1024;
/// A cancellation that falls between two operations ends neither (asked_to_stop()): said again.
constexpr auto kBetweenCancels = std::chrono::milliseconds(500);

awaitable<Result<void>> linger(ByteStream& stream) {
  co_await linger_close(stream, kLinger, kLingerBytes);
  co_return Result<void>();
}

}  // namespace

/// One data thread's connections; used on that thread only.
struct PeerServer::Worker {
  Worker(PeerServer& owner, asio::io_context& context)
      : server(owner), executor(context.get_executor()), connections(executor, "peer connection") {}

  void begin(tcp::socket socket, ConnectionSlots::Slot slot);
  awaitable<void> serve(tcp::socket socket, ConnectionSlots::Slot slot);
  awaitable<Result<void>> serve_request(http::Connection& connection, asio::ip::address peer);
  awaitable<void> drain(Duration limit);

  PeerServer& server;
  asio::any_io_executor executor;
  TaskGroup connections;
  std::unordered_set<ByteStream*> idle;  ///< those that wait for a request
  bool draining = false;
};

void PeerServer::Worker::begin(tcp::socket socket, ConnectionSlots::Slot slot) {
  if (draining) return;
  connections.spawn([this, socket = std::move(socket), slot = std::move(slot)]() mutable {
    return serve(std::move(socket), std::move(slot));
  });
}

awaitable<void> PeerServer::Worker::serve(tcp::socket socket,
                                          [[maybe_unused]] ConnectionSlots::Slot slot) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto peer = unmapped(socket.remote_endpoint(ignored).address());
  auto stream = std::make_unique<SocketStream>(std::move(socket));
  http::Connection connection(std::move(stream), server.options_.http);
  connection.stream().set_inactivity_limit(server.options_.inactivity_limit);
  Result<void> last;
  do {
    last = co_await serve_request(connection, peer);
  } while (last && connection.reusable() && !draining);
  // A peer that has gone, or has stopped to move, is owed no farewell.
  if (last) co_await with_deadline(server.clock_, kLinger, linger(connection.stream()));
}

awaitable<Result<void>> PeerServer::Worker::serve_request(http::Connection& connection,
                                                          asio::ip::address peer) {
  auto& stream = connection.stream();
  // Between requests the idle limit counts, and the inactivity limit only if it is longer.
  const auto& options = server.options_;
  stream.set_inactivity_limit(std::max(options.idle_limit, options.inactivity_limit));
  idle.insert(&stream);
  auto request =
      co_await with_deadline(server.clock_, options.idle_limit, connection.read_request());
  idle.erase(&stream);
  stream.set_inactivity_limit(options.inactivity_limit);
  if (request) {
    co_return co_await server.responder_.answer(connection, std::move(*request), std::move(peer),
                                                !draining);
  }
  if (request.error() == Errc::bad_message || request.error() == Errc::too_large) {
    co_return co_await server.responder_.answer_malformed(connection, request.error());
  }
  co_return request.error();
}

awaitable<void> PeerServer::Worker::drain(Duration limit) {
  draining = true;
  for (auto* stream : std::vector(idle.begin(), idle.end())) stream->close();
  TaskGroup deadline(executor, "peer server's drain");
  deadline.spawn([this, limit]() -> awaitable<void> {
    for (auto wait = limit; !co_await asked_to_stop(); wait = kBetweenCancels) {
      co_await server.clock_.sleep_for(wait);
      connections.cancel();
    }
  });
  co_await connections.drain();
  deadline.cancel();
  co_await deadline.drain();
}

PeerServer::PeerServer(asio::any_io_executor control, DataThreads& threads, ContentStore& store,
                       Clock& clock, PeerServerOptions options, PeerResponder::OnServed on_served)
    : control_(std::move(control)),
      threads_(threads),
      clock_(clock),
      options_(std::move(options)),
      responder_(store, clock, options_.responder, std::move(on_served)),
      slots_(options_.max_connections, options_.max_connections_per_address),
      acceptor_(control_),
      accepting_(control_, std::string(kPart)) {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, threads_.at(i)));
  }
}

PeerServer::~PeerServer() = default;

void PeerServer::start() {
  if (const auto error = listen(acceptor_, options_.listen)) {
    const auto address = options_.listen.address().to_string();
    throw StartError(fmt::format(
        "can't listen for peers on {}:{}: {}. Another registry or agent may have the port (see "
        "`ss -ltnp`): choose another one",
        options_.listen.address().is_v6() ? "[" + address + "]" : address, options_.listen.port(),
        error.message()));
  }
  error_code ignored;
  endpoint_ = acceptor_.local_endpoint(ignored);
  accepting_.spawn([this] { return accept(); });
}

awaitable<void> PeerServer::accept() {
  for (std::size_t next = 0;; next = (next + 1) % workers_.size()) {
    auto& worker = *workers_[next];
    auto [error, socket] = co_await acceptor_.async_accept(worker.executor, kTuple);
    if (!acceptor_.is_open() || is_cancelled(error)) co_return;
    if (error) {
      // ECONNABORTED and the like concern one connection; want of descriptors lasts a while, and
      // the connection stays in the queue: without a rest this loop would spin.
      counters_.accept_failed.fetch_add(1, std::memory_order_relaxed);
      log::warning(kPart, "a peer's connection can't be accepted: {}", error.message());
      co_await clock_.sleep_for(kAcceptRest);
      continue;
    }
    error_code gone;
    auto slot = slots_.take(socket.remote_endpoint(gone).address());
    if (gone || !slot) {
      counters_.refused.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    counters_.accepted.fetch_add(1, std::memory_order_relaxed);
    asio::post(worker.executor,
               [&worker, taken = std::move(socket), place = std::move(*slot)]() mutable {
                 worker.begin(std::move(taken), std::move(place));
               });
  }
}

awaitable<void> PeerServer::drain() {
  error_code ignored;
  acceptor_.close(ignored);
  accepting_.cancel();
  co_await accepting_.drain();
  // In a coroutine of its own, for which the caller's cancellation doesn't exist: it would be
  // handed to other threads' coroutines from this one.
  co_await asio::co_spawn(control_, drain_workers(), kTuple);
}

void PeerServer::cut() {
  cut_ = true;
  for (auto& worker : workers_) {
    asio::post(worker->executor, [&tasks = worker->connections] { tasks.cancel(); });
  }
}

awaitable<void> PeerServer::drain_workers() {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  // All workers at once: each has the whole limit.
  TaskGroup drains(control_, std::string(kPart));
  for (auto& worker : workers_) {
    drains.spawn([this, &worker]() -> awaitable<void> {
      co_await asio::co_spawn(worker->executor,
                              worker->drain(cut_ ? Duration::zero() : options_.drain_limit),
                              asio::use_awaitable);
    });
  }
  co_await drains.drain();
}

}  // namespace hagring::registry
