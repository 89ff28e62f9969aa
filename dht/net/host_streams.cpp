// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "dht/net/host_state.hpp"
#include "dht/net/multistream.hpp"
#include "dht/net/ping.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

/// go-libp2p's own (p2p/host/resource-manager/limit_defaults.go, ping).
constexpr std::size_t kMaxPings = 2;

}  // namespace

awaitable<void> Host::State::serve_stream(Entry entry, std::unique_ptr<ByteStream> stream) {
  if (table.streams(entry->peer()) > options.max_streams_of_a_peer) {
    refuse("streams of a peer",
           fmt::format("{} has more than {} streams open: another one was "
                       "reset",
                       entry->peer().to_string(), options.max_streams_of_a_peer));
    co_return;
  }
  std::vector<std::string> protocols{kIdentifyProtocol, kIdentifyPushProtocol, kPingProtocol};
  for (const auto& [protocol, handler] : handlers) protocols.push_back(protocol);
  auto protocol = co_await with_deadline(clock, options.negotiation_limit,
                                         answer_protocol(*stream, std::move(protocols)));
  if (!protocol) co_return;
  co_await serve_protocol(std::move(entry), std::move(stream), std::move(*protocol));
}

awaitable<void> Host::State::serve_protocol(Entry entry, std::unique_ptr<ByteStream> stream,
                                            std::string protocol) {
  if (protocol == kIdentifyProtocol) {
    auto message = about_us(*entry);
    entry->told = encode_identify(message);
    message.observed_address = Multiaddr::of(entry->ends().remote);
    (void)co_await with_deadline(clock, options.negotiation_limit,
                                 write_identify(*stream, std::move(message)));
  } else if (protocol == kIdentifyPushProtocol) {
    co_await take_push(std::move(entry), std::move(stream));
  } else if (protocol == kPingProtocol) {
    co_await serve_ping(std::move(entry), std::move(stream));
  } else if (const auto found = handlers.find(protocol); found != handlers.end()) {
    const auto remote = entry->ends().remote;
    Inbound inbound{entry->peer(), remote, std::move(stream)};
    co_await found->second(std::move(inbound));
  }
}

awaitable<void> Host::State::serve_ping(Entry entry, std::unique_ptr<ByteStream> stream) {
  auto* peer = table.find(entry->peer());
  if (!peer || peer->pings >= kMaxPings) co_return;
  ++peer->pings;
  co_await answer_pings(*stream);
  // The connection, and with it the peer, is there as long as this task.
  --table.find(entry->peer())->pings;
}

}  // namespace hagring::dht
