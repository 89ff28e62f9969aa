// SPDX-License-Identifier: Apache-2.0
#include "registry/peer_connections.hpp"

#include <fmt/core.h>

#include "registry/herd/child_server.hpp"
#include "userspace/base/address.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::registry {
namespace {

using asio::ip::tcp;

constexpr std::string_view kPart = "peer-server";
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

PeerConnections::PeerConnections(asio::any_io_executor executor, Shared shared,
                                 std::unique_ptr<PeerGate> gate)
    : executor_(std::move(executor)),
      shared_(shared),
      gate_(std::move(gate)),
      rare_log_(shared_.clock, std::string(kPart)),
      connections_(executor_, "peer connection") {}

void PeerConnections::begin(tcp::socket socket, ConnectionSlots::Slot slot) {
  if (draining_) return;
  connections_.spawn([this, socket = std::move(socket), slot = std::move(slot)]() mutable {
    return serve(std::move(socket), std::move(slot));
  });
}

awaitable<void> PeerConnections::serve(tcp::socket socket, ConnectionSlots::Slot slot) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto peer = unmapped(socket.remote_endpoint(ignored).address());
  std::unique_ptr<ByteStream> stream = std::make_unique<SocketStream>(std::move(socket));
  stream->set_inactivity_limit(shared_.options.inactivity_limit);
  std::string node;
  if (gate_) {
    auto admitted = co_await admit(std::move(stream), slot, peer);
    if (!admitted) co_return;
    stream = std::move(admitted->stream);
    node = std::move(admitted->node);
  }
  http::Connection connection(std::move(stream), shared_.options.http);
  Result<void> last;
  do {
    last = co_await serve_request(connection, peer, node);
  } while (last && connection.reusable() && !draining_);
  // A peer that has gone, or has stopped to move, is owed no farewell.
  if (last) co_await with_deadline(shared_.clock, kLinger, linger(connection.stream()));
}

awaitable<Result<PeerGate::Admitted>> PeerConnections::admit(std::unique_ptr<ByteStream> stream,
                                                             ConnectionSlots::Slot& slot,
                                                             const asio::ip::address& peer) {
  Result<PeerGate::Admitted> admitted(Errc::unavailable);
  // A group for this one alone, so that it can be told to stop.
  TaskGroup attempt(executor_, "peer handshake");
  attempt.spawn([&]() -> awaitable<void> {
    admitted = co_await with_deadline(shared_.clock, shared_.options.handshake_limit,
                                      gate_->admit(std::move(stream)));
  });
  at_gate_.emplace(slot.id(), &attempt);
  co_await attempt.drain();
  at_gate_.erase(slot.id());
  if (admitted && !slot.settle()) admitted = Errc::cancelled;
  if (!admitted) note_turned_away(peer, admitted.error());
  co_return admitted;
}

void PeerConnections::note_turned_away(const asio::ip::address& peer, const error_code& error) {
  if (draining_) return;
  shared_.counters.turned_away.fetch_add(1, std::memory_order_relaxed);
  const auto reason =
      is_cancelled(error) ? "it took its time, and a newcomer needed its place" : error.message();
  // Who connects and goes without a word looks whether the port is open.
  if (error == Errc::end_of_stream) {
    return log::debug(kPart, "{} is turned away: {}", peer.to_string(), reason);
  }
  rare_log_.line(log::Level::warning, "turned away",
                 fmt::format("{} is turned away: {}", peer.to_string(), reason));
}

awaitable<Result<void>> PeerConnections::serve_request(http::Connection& connection,
                                                       asio::ip::address peer,
                                                       const std::string& node) {
  auto& stream = connection.stream();
  // Between requests the idle limit counts, and the inactivity limit only if it is longer.
  const auto& options = shared_.options;
  stream.set_inactivity_limit(std::max(options.idle_limit, options.inactivity_limit));
  idle_.insert(&stream);
  auto request =
      co_await with_deadline(shared_.clock, options.idle_limit, connection.read_request());
  idle_.erase(&stream);
  stream.set_inactivity_limit(options.inactivity_limit);
  auto* children = shared_.options.children;
  std::optional<herd::ChildServer::Copy> copy;
  if (request && children != nullptr && !node.empty() && connection.body_ended()) {
    if (herd::ChildServer::is_for(*request)) {
      co_return co_await children->answer(connection, *request, node, !draining_);
    }
    if (auto herd = herd::ChildServer::joinable(*request)) {
      if (children->leads_to(*herd)) {
        co_return co_await children->lead_to_herd(connection, !draining_);
      }
      copy.emplace(*children, std::move(herd->digest));
    }
  }
  if (request) {
    co_return co_await shared_.responder.answer(connection, std::move(*request), std::move(peer),
                                                !draining_);
  }
  if (request.error() == Errc::bad_message || request.error() == Errc::too_large) {
    co_return co_await shared_.responder.answer_malformed(connection, request.error());
  }
  co_return request.error();
}

void PeerConnections::displace(std::uint64_t slot) {
  if (const auto attempt = at_gate_.find(slot); attempt != at_gate_.end()) {
    attempt->second->cancel();
  }
}

void PeerConnections::cut() {
  cut_ = true;
  for (const auto& [slot, attempt] : at_gate_) attempt->cancel();
  connections_.cancel();
}

awaitable<void> PeerConnections::drain(Duration limit) {
  draining_ = true;
  for (auto* stream : std::vector(idle_.begin(), idle_.end())) stream->close();
  TaskGroup deadline(executor_, "peer server's drain");
  deadline.spawn([this, end = shared_.clock.now() + limit] { return end_at(end); });
  co_await connections_.drain();
  deadline.cancel();
  co_await deadline.drain();
}

awaitable<void> PeerConnections::end_at(TimePoint limit) {
  while (!co_await asked_to_stop()) {
    for (const auto& [slot, attempt] : at_gate_) attempt->cancel();
    const auto now = shared_.clock.now();
    if (cut_ || now >= limit) connections_.cancel();
    const auto next = now + kBetweenCancels;
    co_await shared_.clock.sleep_until(now < limit ? std::min(next, limit) : next);
  }
}

}  // namespace hagring::registry
