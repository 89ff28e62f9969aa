// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "dht/net/error.hpp"
#include "dht/net/host_state.hpp"
#include "dht/net/multistream.hpp"
#include "userspace/base/address.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

using asio::ip::tcp;

std::string text_of(const tcp::endpoint& endpoint) { return Multiaddr::of(endpoint).to_string(); }

}  // namespace

awaitable<Result<Host::State::Entry>> Host::State::reach(PeerId peer,
                                                         std::vector<Multiaddr> addresses) {
  if (stopping) co_return Errc::cancelled;
  if (peer == identity.peer_id()) co_return Errc::unavailable;
  if (auto entry = table.preferred(peer)) co_return entry;
  std::vector<tcp::endpoint> endpoints;
  for (const auto& address : addresses) {
    const auto where = address.tcp_endpoint();
    if (where && may_dial(*where)) endpoints.push_back(*where);
  }
  co_return co_await dials.dial(std::move(peer), std::move(endpoints));
}

Host::State::Entry Host::State::connection_to(const tcp::endpoint& address,
                                              const std::optional<PeerId>& expected) const {
  if (expected) return table.preferred(*expected);
  for (auto& entry : table.all()) {
    if (entry->healthy() && entry->direction() == Direction::outbound &&
        entry->ends().remote == address) {
      return entry;
    }
  }
  return nullptr;
}

awaitable<Result<Host::State::Entry>> Host::State::dial(tcp::endpoint address,
                                                        std::optional<PeerId> expected) {
  if (stopping) co_return Errc::cancelled;
  ++dialling;
  auto socket = co_await dial_socket(address);
  Result<Entry> made = socket ? Errc::cancelled : socket.error();
  if (socket && !stopping) {
    made = co_await upgrade_outbound(std::move(*socket), address, std::move(expected));
  }
  --dialling;
  if (!made && !is_cancelled(made.error())) ++counters.failed_dials;
  co_return made;
}

awaitable<Result<Host::State::Entry>> Host::State::dial_as_task(tcp::endpoint address,
                                                                std::optional<PeerId> expected) {
  struct Outcome {
    explicit Outcome(const asio::any_io_executor& on) : there(on) {}
    Signal there;
    std::optional<Result<Entry>> made;
  };
  // Shared by the task and the caller, either of whom may end first.
  const auto outcome = std::make_shared<Outcome>(executor);
  tasks.spawn([this, outcome, address, expected]() -> awaitable<void> {
    outcome->made = co_await dial(address, expected);
    outcome->there.wake();
  });
  while (!outcome->made) CO_CHECK(co_await outcome->there.wait());
  co_return *outcome->made;
}

awaitable<Result<tcp::socket>> Host::State::dial_socket(tcp::endpoint address) {
  if (table.size() + dialling > options.max_connections &&
      !table.idlest(clock.now(), options.trim_grace, nullptr, false)) {
    refuse("connection limit", fmt::format("{} connections are open, all in use: {} wasn't dialled",
                                           table.size(), text_of(address)));
    co_return NetErrc::limit_reached;
  }
  ++counters.dialled;
  auto socket = co_await with_deadline(clock, options.dial_limit,
                                       dialer.dial(Destination{address, "", address.port()}));
  if (!socket && !is_cancelled(socket.error())) {
    rare_log.line(
        log::Level::debug, "dial",
        fmt::format("{} can't be reached: {}", text_of(address), socket.error().message()));
  }
  co_return socket;
}

awaitable<Result<Host::State::Entry>> Host::State::upgrade_outbound(
    tcp::socket socket, tcp::endpoint address, std::optional<PeerId> expected) {
  error_code gone;
  const auto local = socket.local_endpoint(gone);
  const Connection::Ends ends{{unmapped(local.address()), local.port()}, address};
  UpgradeFailure failure;
  auto secure = co_await upgrader.connect(std::move(socket), expected, failure);
  if (stopping) co_return Errc::cancelled;
  if (!secure) {
    rare_log.line(failure.level, "outbound handshake",
                  fmt::format("the connection to {} failed: {}", text_of(address), failure.text));
    co_return secure.error();
  }
  // The loser of a race to the same peer; one that the peer dialled is kept beside ours, since the
  // peer may do the same with that.
  auto there = table.preferred(secure->peer);
  if (there && there->direction() == Direction::outbound) co_return there;
  co_return adopt(std::move(*secure), Direction::outbound, ends, std::nullopt);
}

awaitable<Result<std::unique_ptr<ByteStream>>> Host::State::open_on(Entry entry,
                                                                    std::string protocol) {
  auto stream = entry->open_stream();
  if (!stream) {
    if (stream.error() == NetErrc::limit_reached) {
      refuse("own streams", fmt::format("too many streams are open to {}: none more for {}",
                                        entry->peer().to_string(), protocol));
    }
    co_return stream.error();
  }
  const auto* peer = table.find(entry->peer());
  if (peer && peer->about &&
      std::ranges::find(peer->about->protocols, protocol) != peer->about->protocols.end()) {
    co_return propose_lazily(std::move(*stream), std::move(protocol));
  }
  const std::vector<std::string> protocols{std::move(protocol)};
  CO_CHECK(co_await with_deadline(clock, options.negotiation_limit,
                                  propose_protocol(**stream, protocols)));
  co_return std::move(*stream);
}

awaitable<Result<void>> Host::State::wait_until_identified(Entry entry) {
  while (!entry->identified) {
    if (stopping) co_return Errc::cancelled;
    if (!entry->healthy()) co_return NetErrc::session_closed;
    CO_CHECK(co_await identified.wait());
  }
  co_return *entry->identified;
}

}  // namespace hagring::dht
