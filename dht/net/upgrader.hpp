// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <set>
#include <string>

#include "dht/net/pnet.hpp"
#include "dht/net/tls.hpp"
#include "userspace/base/log.hpp"

namespace hagring::dht {

/// Why a connection didn't come about.
struct UpgradeFailure {
  std::string text;                      ///< for people: what was wrong, where, what to check
  log::Level level = log::Level::debug;  ///< how much it deserves their attention
  std::optional<PeerId> peer;            ///< who answered, with NetErrc::wrong_peer
};

/// Makes of a TCP connection one whose other end has proved who it is, and that is ready for yamux:
/// private network, security by multistream, TLS, muxer by ALPN or multistream (libp2p specs,
/// connections/README.md, "Upgrading Connections"). Used from one thread.
class Upgrader {
 public:
  /// `identity` and `clock` must outlive this; connections under way must have ended before it
  /// goes. All of one upgrade takes at most `limit`.
  Upgrader(const Identity& identity, Clock& clock, std::optional<NetworkKey> network_key,
           Duration limit);

  /// Upgrades as the dialler; with `expected`, the peer must be that one. Errors:
  /// NetErrc::wrong_peer, NetErrc::bad_certificate, NetErrc::no_common_protocol, Errc::timed_out,
  /// Errc::bad_message, Errc::cancelled, or the connection's. `failure` must live on meanwhile.
  awaitable<Result<SecureConnection>> connect(asio::ip::tcp::socket socket,
                                              std::optional<PeerId> expected,
                                              UpgradeFailure& failure);
  /// The same as the listener; `id` is what cut() knows it by.
  awaitable<Result<SecureConnection>> accept(asio::ip::tcp::socket socket, UpgradeFailure& failure,
                                             std::uint64_t id = 0);

  /// Ends the inbound upgrade of this ID with Errc::cancelled.
  void cut(std::uint64_t id);

  /// Ends all that are under way with Errc::cancelled.
  void close();

  std::size_t under_way() const { return under_way_.size(); }

 private:
  struct Attempt;

  awaitable<Result<SecureConnection>> upgrade(asio::ip::tcp::socket socket, Attempt& attempt);
  awaitable<Result<SecureConnection>> climb(std::unique_ptr<ByteStream> stream, Attempt& attempt);
  void explain(const Attempt& attempt, error_code error) const;

  Clock& clock_;
  const std::optional<NetworkKey> network_key_;
  const Duration limit_;
  TlsSecurity tls_;
  std::set<Attempt*> under_way_;
};

}  // namespace hagring::dht
