// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "dht/net/error.hpp"
#include "dht/net/host_state.hpp"
#include "dht/net/multistream.hpp"
#include "dht/net/ping.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

/// What all of libp2p says (identify/README.md, "protocolVersion").
constexpr const char* kProtocolVersion = "ipfs/0.1.0";
/// go-libp2p takes one push in 5 s, ten at once (p2p/protocol/identify/id.go); so do we.
constexpr double kPushBurst = 10;
constexpr Duration kPushInterval = std::chrono::seconds(5);
/// Changes that come together are told together.
constexpr Duration kPushDelay = std::chrono::seconds(1);

}  // namespace

IdentifyMessage Host::State::about_us(const Connection& connection) const {
  IdentifyMessage message;
  message.key = identity.public_key();
  message.listen_addresses = addresses_for(&connection);
  message.protocols = {kIdentifyProtocol, kIdentifyPushProtocol, kPingProtocol};
  for (const auto& [protocol, handler] : handlers) message.protocols.push_back(protocol);
  message.protocol_version = kProtocolVersion;
  message.agent_version = options.agent_version;
  return message;
}

awaitable<void> Host::State::identify(Entry entry) {
  Result<void> done = NetErrc::session_closed;
  if (auto opened = entry->open_stream()) {
    const auto stream = propose_lazily(std::move(*opened), kIdentifyProtocol);
    auto said = co_await with_deadline(clock, options.negotiation_limit, read_identify(*stream));
    if (said) (void)co_await stream->shutdown_write();
    done = said ? learn(entry, std::move(*said), false) : Result<void>(said.error());
  } else {
    done = opened.error();
  }
  entry->identified = done;
  identified.wake();
  if (!done && done.error() != NetErrc::session_closed && !is_cancelled(done.error())) {
    rare_log.line(log::Level::info, "identify",
                  fmt::format("{} doesn't identify itself: {}", entry->peer().to_string(),
                              done.error().message()));
  }
}

awaitable<void> Host::State::take_push(Entry entry, std::unique_ptr<ByteStream> stream) {
  auto* peer = table.find(entry->peer());
  if (!peer) co_return;
  const auto now = clock.now();
  const std::chrono::duration<double> passed = now - std::exchange(peer->pushed, now);
  peer->pushes =
      std::min(kPushBurst, peer->pushes + passed / std::chrono::duration<double>(kPushInterval));
  if (peer->pushes < 1) {
    refuse("pushes", fmt::format("{} identifies itself again and again: left unread",
                                 entry->peer().to_string()));
    co_return;
  }
  --peer->pushes;
  auto said = co_await with_deadline(clock, options.negotiation_limit, read_identify(*stream));
  if (!said) co_return;
  (void)co_await stream->shutdown_write();
  (void)learn(entry, std::move(*said), true);
}

/// Keeps what a peer has said of itself. Of a push, what isn't said stays.
Result<void> Host::State::learn(const Entry& entry, IdentifyMessage said, bool is_push) {
  if (said.key && said.key->message() != entry->key().message()) return Errc::bad_message;
  auto* peer = table.find(entry->peer());
  if (!peer) return NetErrc::session_closed;
  PeerAbout about;
  if (is_push && peer->about) about = *peer->about;
  if (!said.protocols.empty() || !is_push) about.protocols = std::move(said.protocols);
  if (!said.listen_addresses.empty() || !is_push) {
    about.addresses.clear();
    for (const auto& address : said.listen_addresses) {
      // Threat: a peer that names addresses of others, ours first of all.
      const auto where = address.tcp_endpoint();
      auto plain = address.without_peer();
      if (where && may_dial(*where) &&
          std::ranges::find(about.addresses, plain) == about.addresses.end()) {
        about.addresses.push_back(std::move(plain));
      }
    }
  }
  if (!said.agent_version.empty()) about.agent_version = std::move(said.agent_version);
  peer->about = std::move(about);
  if (on_identified) on_identified(entry->peer(), PeerAbout(*peer->about));
  return {};
}

awaitable<void> Host::State::push_changes() {
  while (!stopping && !co_await asked_to_stop()) {
    if (!std::exchange(is_changed, false)) {
      (void)co_await changed.wait();
      continue;
    }
    co_await clock.sleep_for(kPushDelay);
    is_changed = false;
    for (const auto& entry : table.all()) {
      // Who hasn't asked yet will be told then.
      if (!entry->healthy() || entry->told.empty()) continue;
      auto message = about_us(*entry);
      auto bytes = encode_identify(message);
      if (bytes == entry->told) continue;
      entry->told = std::move(bytes);
      entry->spawn([this, entry, message = std::move(message)]() mutable {
        return push(entry, std::move(message));
      });
    }
  }
}

awaitable<void> Host::State::push(Entry entry, IdentifyMessage message) {
  auto stream = co_await open_on(entry, kIdentifyPushProtocol);
  if (!stream) co_return;
  (void)co_await with_deadline(clock, options.negotiation_limit,
                               write_identify(**stream, std::move(message)));
}

}  // namespace hagring::dht
