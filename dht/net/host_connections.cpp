// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "dht/net/error.hpp"
#include "dht/net/host_state.hpp"

namespace hagring::dht {
namespace {

/// What a peer that has connected anew has to answer on its older connections.
constexpr Duration kDoubtLimit = std::chrono::seconds(2);

}  // namespace

void Host::State::refuse(std::string_view kind, std::string_view text) {
  ++counters.refused;
  rare_log.line(log::Level::warning, kind, text);
}

YamuxOptions Host::State::yamux_options() const {
  YamuxOptions yamux;
  yamux.max_inbound_streams = std::min(yamux.max_inbound_streams, options.max_streams_of_a_peer);
  yamux.budget = budget;
  return yamux;
}

bool Host::State::trim(Duration rest, const PeerId* peer, bool inbound_only) {
  const auto idlest = table.idlest(clock.now(), rest, peer, inbound_only);
  if (!idlest) return false;
  log::debug("dht", "the connection with {}, which rests, is closed to make room",
             idlest->peer().to_string());
  idlest->close();
  return true;
}

/// Whether there is a place for a connection with `peer`, made by closing one that rests if need
/// be.
bool Host::State::make_room(const PeerId& peer, Direction direction) {
  // A peer that comes back so often has lost its former connections: they needn't have rested.
  if (table.size(peer) >= options.max_connections_of_a_peer &&
      !trim(Duration::zero(), &peer, false)) {
    refuse("peer limit", fmt::format("{} has {} connections, all in use: another one was refused",
                                     peer.to_string(), table.size(peer)));
    return false;
  }
  const bool is_inbound = direction == Direction::inbound;
  if (is_inbound && table.size() - table.outbound() >= options.max_inbound &&
      !trim(options.trim_grace, nullptr, true)) {
    refuse("inbound limit", fmt::format("{} inbound connections are open, all in use: one from {} "
                                        "was refused",
                                        options.max_inbound, peer.to_string()));
    return false;
  }
  if (table.size() >= options.max_connections && !trim(options.trim_grace, nullptr, false)) {
    refuse("connection limit",
           fmt::format("{} connections are open, all in use: one with {} was refused",
                       options.max_connections, peer.to_string()));
    return false;
  }
  return true;
}

Result<Host::State::Entry> Host::State::adopt(SecureConnection secure, Direction direction,
                                              Connection::Ends ends,
                                              std::optional<ConnectionSlots::Slot> slot) {
  if (secure.peer == identity.peer_id()) {
    log::debug("dht", "{} is our own address", ends.remote.address().to_string());
    return Errc::unavailable;
  }
  if (!make_room(secure.peer, direction)) return NetErrc::limit_reached;
  doubt_connections_with(secure.peer);
  auto entry = std::make_shared<Connection>(std::move(secure), direction, std::move(ends),
                                            std::move(slot), clock, executor, yamux_options());
  table.add(entry);
  dials.arrived(entry);
  while (table.size() > options.trim_above) {
    if (!trim(options.trim_grace, nullptr, false)) break;
  }
  tasks.spawn([this, entry] { return run(entry); });
  return entry;
}

/// A peer that connects anew may have lost the connections it had, by a restart for example, which
/// we would learn from keep-alive pings only, and much later.
void Host::State::doubt_connections_with(const PeerId& peer) {
  const auto* known = table.find(peer);
  if (!known) return;
  for (const auto& entry : known->connections) {
    if (!entry->healthy() || entry->in_doubt()) continue;
    entry->spawn([entry]() -> awaitable<void> {
      if (!co_await entry->answers(kDoubtLimit)) entry->close();
    });
  }
}

awaitable<void> Host::State::run(Entry entry) {
  if (stopping) entry->close();
  entry->spawn([this, entry] { return identify(entry); });
  is_changed = true;
  changed.wake();
  const auto reason = co_await entry->run([this, entry](std::unique_ptr<ByteStream> stream) {
    return serve_stream(entry, std::move(stream));
  });
  table.remove(entry);
  is_changed = true;
  changed.wake();
  identified.wake();
  const bool is_refusal = !entry->identified || !*entry->identified;
  const bool is_ours = reason == NetErrc::session_closed || is_cancelled(reason);
  rare_log.line(
      is_refusal && !is_ours ? log::Level::info : log::Level::debug, "end",
      fmt::format("the connection with {} has ended{}: {}", entry->peer().to_string(),
                  is_refusal ? " before it had identified itself" : "", reason.message()));
}

}  // namespace hagring::dht
