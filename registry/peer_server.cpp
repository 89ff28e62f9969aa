// SPDX-License-Identifier: Apache-2.0
#include "registry/peer_server.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "userspace/base/log.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::registry {
namespace {

using asio::ip::tcp;

constexpr std::string_view kPart = "peer-server";
/// How long accepting rests when the system can't give a connection (EMFILE, ENFILE, ENOMEM).
constexpr auto kAcceptRest = std::chrono::milliseconds(200);

}  // namespace

PeerServer::PeerServer(asio::any_io_executor control, DataThreads& threads, ContentStore& store,
                       Clock& clock, PeerServerOptions options, PeerResponder::OnServed on_served,
                       const PeerGateMaker& make_gate)
    : control_(std::move(control)),
      threads_(threads),
      clock_(clock),
      options_(std::move(options)),
      responder_(store, clock, options_.responder, std::move(on_served)),
      slots_(options_.max_connections, options_.max_connections_per_address),
      acceptor_(control_),
      accepting_(control_, std::string(kPart)),
      gated_(static_cast<bool>(make_gate)) {
  const PeerConnections::Shared shared{options_, clock_, responder_, counters_};
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    workers_.push_back(std::make_unique<PeerConnections>(threads_.at(i).get_executor(), shared,
                                                         gated_ ? make_gate() : nullptr));
  }
}

PeerServer::~PeerServer() = default;

void PeerServer::bind() {
  if (const auto error = listen(acceptor_, options_.listen, options_.sharing)) {
    const auto address = options_.listen.address().to_string();
    throw StartError(fmt::format(
        "can't listen for peers on {}:{}: {}. Another registry or agent may have the port (see "
        "`ss -ltnp`): choose another one",
        options_.listen.address().is_v6() ? "[" + address + "]" : address, options_.listen.port(),
        error.message()));
  }
  error_code ignored;
  endpoint_ = acceptor_.local_endpoint(ignored);
}

void PeerServer::start() {
  if (!acceptor_.is_open()) bind();
  accepting_.spawn([this] { return accept(); });
}

awaitable<void> PeerServer::accept() {
  for (std::size_t next = 0;; next = (next + 1) % workers_.size()) {
    auto& worker = *workers_[next];
    auto [error, socket] = co_await acceptor_.async_accept(worker.executor(), kTuple);
    if (!acceptor_.is_open() || is_cancelled(error)) co_return;
    if (error) {
      // ECONNABORTED and the like concern one connection; want of descriptors lasts a while, and
      // the connection stays in the queue: without a rest this loop would spin.
      counters_.accept_failed.fetch_add(1, std::memory_order_relaxed);
      log::warning(kPart, "a peer's connection can't be accepted: {}", error.message());
      co_await clock_.sleep_for(kAcceptRest);
      continue;
    }
    auto slot = take_slot(socket, worker);
    if (!slot) {
      counters_.refused.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    counters_.accepted.fetch_add(1, std::memory_order_relaxed);
    asio::post(worker.executor(),
               [&worker, taken = std::move(socket), place = std::move(*slot)]() mutable {
                 worker.begin(std::move(taken), std::move(place));
               });
  }
}

std::optional<ConnectionSlots::Slot> PeerServer::take_slot(const tcp::socket& socket,
                                                           PeerConnections& worker) {
  error_code gone;
  const auto peer = socket.remote_endpoint(gone).address();
  if (gone) return std::nullopt;
  if (!gated_) return slots_.take(peer);
  return slots_.take(peer, [&worker](std::uint64_t id) {
    asio::post(worker.executor(), [&worker, id] { worker.displace(id); });
  });
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
    asio::post(worker->executor(), [&connections = *worker] { connections.cut(); });
  }
}

awaitable<void> PeerServer::drain_workers() {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  // All workers at once: each has the whole limit.
  TaskGroup drains(control_, std::string(kPart));
  for (auto& worker : workers_) {
    drains.spawn([this, &worker]() -> awaitable<void> {
      co_await asio::co_spawn(worker->executor(),
                              worker->drain(cut_ ? Duration::zero() : options_.drain_limit),
                              asio::use_awaitable);
    });
  }
  co_await drains.drain();
}

}  // namespace hagring::registry
