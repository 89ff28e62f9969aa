// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "dht/net/error.hpp"
#include "dht/net/host_state.hpp"
#include "userspace/base/address.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::dht {
namespace {

/// How long accepting rests when the system can't give a connection (EMFILE, ENFILE, ENOMEM).
constexpr auto kAcceptRest = std::chrono::milliseconds(200);

}  // namespace

void Host::State::bind() {
  if (const auto error = hagring::listen(acceptor, options.listen, options.sharing)) {
    const auto address = options.listen.address().to_string();
    throw StartError(fmt::format(
        "can't listen for the DHT's peers on {}:{}: {}. Another agent or a Spegel may have the "
        "port (see `ss -ltnp`): choose another one",
        options.listen.address().is_v6() ? "[" + address + "]" : address, options.listen.port(),
        error.message()));
  }
  error_code ignored;
  endpoint = acceptor.local_endpoint(ignored);
}

void Host::State::start() {
  if (!acceptor.is_open()) bind();
  tasks.spawn([this] { return accept_all(); });
  tasks.spawn([this] { return push_changes(); });
}

awaitable<void> Host::State::accept_all() {
  while (!stopping) {
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (stopping || is_cancelled(error) || co_await asked_to_stop()) co_return;
    if (!error) {
      admit(std::move(socket));
      continue;
    }
    // ECONNABORTED and the like concern one connection; want of descriptors lasts a while, and the
    // connection stays in the queue: without a rest this loop would spin.
    rare_log.line(log::Level::warning, "accept",
                  fmt::format("a peer's connection can't be accepted: {}", error.message()));
    co_await clock.sleep_for(kAcceptRest);
  }
}

void Host::State::admit(tcp::socket socket) {
  error_code gone;
  const auto remote = socket.remote_endpoint(gone);
  if (gone) return;
  const auto local = socket.local_endpoint(gone);
  if (gone) return;
  const Connection::Ends ends{{unmapped(local.address()), local.port()},
                              {unmapped(remote.address()), remote.port()}};
  // Threat: strangers who connect and stall. Until it has proved who it is, a connection holds its
  // place only as long as no newcomer needs it.
  auto slot = slots.take(ends.remote.address(), [this](std::uint64_t id) { displace(id); });
  if (!slot) {
    return refuse(
        "address limit",
        fmt::format("{} has as many connections as one address may have, {}: another one "
                    "was refused",
                    ends.remote.address().to_string(), options.max_connections_of_an_address));
  }
  ++counters.accepted;
  set_connection_options(socket);
  tasks.spawn([this, ends, taken = std::move(socket), place = std::move(*slot)]() mutable {
    return upgrade_inbound(std::move(taken), std::move(place), ends);
  });
}

void Host::State::displace(std::uint64_t slot) {
  rare_log.line(log::Level::info, "handshake limit",
                "more handshakes are under way than there are places: the oldest is ended");
  upgrader.cut(slot);
}

awaitable<void> Host::State::upgrade_inbound(tcp::socket socket, ConnectionSlots::Slot slot,
                                             Connection::Ends ends) {
  UpgradeFailure failure;
  Result<SecureConnection> secure = Errc::cancelled;
  if (!stopping) secure = co_await upgrader.accept(std::move(socket), failure, slot.id());
  if (stopping) co_return;
  if (secure && !slot.settle()) {
    failure.text = "it took its time, and a newcomer needed its place";
    secure = Errc::cancelled;
  }
  if (secure) {
    (void)adopt(std::move(*secure), Direction::inbound, ends, std::move(slot));
    co_return;
  }
  ++counters.failed_handshakes;
  rare_log.line(failure.level, "inbound handshake",
                fmt::format("a connection from {} failed: {}", ends.remote.address().to_string(),
                            failure.text));
}

}  // namespace hagring::dht
