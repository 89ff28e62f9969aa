// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dht/identity.hpp"
#include "dht/multiformats/multiaddr.hpp"
#include "dht/net/pnet.hpp"
#include "userspace/base/byte_stream.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::dht {

/// What a peer says of itself (libp2p specs, identify/README.md).
struct PeerAbout {
  std::vector<std::string> protocols;
  std::vector<Multiaddr> addresses;  ///< where it listens, as it says; those we may dial only
  std::string agent_version;
};

/// Limits and addresses of a host.
struct HostOptions {
  /// All addresses, IPv4 too.
  asio::ip::tcp::endpoint listen{asio::ip::tcp::v6(), 5001};
  PortSharing sharing = PortSharing::refused;
  /// Where others reach us, if it isn't what our interfaces say.
  std::vector<asio::ip::address> advertised{};
  /// Of the private network; none: an open one.
  std::optional<NetworkKey> network_key{};
  /// Whether a peer's claim may make us connect to an address; empty: AddressRanges::ordinary().
  std::function<bool(const asio::ip::address&)> may_dial{};
  std::string agent_version = "hagring";

  /// Above it connections without streams are closed to make room for new ones, those unused
  /// longest first, if they have rested for `trim_grace`; else the new one is refused.
  std::size_t max_connections = 512;
  std::size_t max_inbound = 384;
  /// Inbound, under way, beside max_connections; a newcomer ends the oldest.
  std::size_t max_handshakes = 64;
  std::size_t max_connections_of_a_peer = 4;
  /// Inbound, handshakes under way included, the oldest of which a newcomer ends; of IPv6, a /64
  /// counts as one address.
  std::size_t max_connections_of_an_address = 16;
  /// Above it resting connections are closed as above, without need (go-libp2p's low water).
  std::size_t trim_above = 160;
  Duration trim_grace = std::chrono::seconds(30);
  std::size_t max_streams = 4096;
  std::size_t max_streams_of_a_peer = 128;
  /// Received bytes of all streams that nobody has read yet; and as many that wait to be sent.
  std::size_t max_buffered = std::size_t{64} << 20;

  /// How long an address that failed isn't tried: doubled with each failure, cleared when the peer
  /// is there.
  Duration first_rest = std::chrono::seconds(1);
  Duration longest_rest = std::chrono::seconds(30);
  Duration upgrade_limit = std::chrono::seconds(15);  ///< go-libp2p, upgrader.go
  Duration dial_limit = std::chrono::seconds(5);      ///< go-libp2p, swarm.go, private addresses
  Duration negotiation_limit = std::chrono::seconds(10);  ///< go-libp2p, basic_host.go
};

/// A libp2p host over TCP: connections to peers whose identity is proven, one used for all streams
/// with a peer. Dials when a stream is wanted, listens, identifies itself, answers pings. Used from
/// one thread, that of its executor.
class Host {
 public:
  /// A stream that a peer opened with a protocol we serve. The address is the connection's other
  /// end, not where the peer listens.
  struct Inbound {
    PeerId peer;
    asio::ip::tcp::endpoint remote;
    std::unique_ptr<ByteStream> stream;
  };
  using StreamHandler = std::function<awaitable<void>(Inbound)>;

  /// `identity`, `clock` and `dialer` must outlive the host.
  Host(asio::any_io_executor executor, Clock& clock, const Identity& identity, Dialer& dialer,
       HostOptions options);
  /// Must have been stopped, if it was started.
  ~Host();

  /// Serves `protocol` with `handler`, once a protocol; peers that are connected are told. The
  /// handler's coroutine is the host's own and is cancelled by stop().
  void serve(std::string protocol, StreamHandler handler);

  /// `told` is called when a peer has identified itself, on a new connection or by a push.
  void on_identified(std::function<void(const PeerId&, const PeerAbout&)> told);

  /// Binds: who connects then waits for start(). Throws StartError when the address can't be had.
  void bind();
  /// Begins to accept; binds before if need be, and throws then as bind() does.
  void start();

  /// Closes all connections and returns when nothing is under way.
  awaitable<void> stop();

  /// Opens a stream to `peer` for `protocol`, on a connection that is there or a new one to the
  /// first of `addresses` that answers as that peer (several are raced a little apart); those that
  /// aren't TCP or that `may_dial` doesn't allow are passed over. One dial to a peer is shared by
  /// all who wait for it; an address that has just failed isn't tried again at once: the error is
  /// then that of the last try. A peer that is known to speak `protocol` isn't asked first: should
  /// it not, the stream's first read says NetErrc::no_common_protocol. Errors: NetErrc::wrong_peer,
  /// NetErrc::no_common_protocol, NetErrc::limit_reached, Errc::timed_out, Errc::unavailable,
  /// Errc::cancelled.
  awaitable<Result<std::unique_ptr<ByteStream>>> open(PeerId peer, std::vector<Multiaddr> addresses,
                                                      std::string protocol);

  /// Connects to an address without knowing who is there, and returns who is, once it has
  /// identified itself. With `expected`, it must be that peer. A connection that is there already
  /// serves. The address is the caller's choice: neither `may_dial` nor earlier failures keep us
  /// from it. Errors as open()'s; Errc::unavailable if it is our own.
  awaitable<Result<PeerId>> connect(asio::ip::tcp::endpoint address,
                                    std::optional<PeerId> expected);

  bool connected(const PeerId& peer) const;
  /// The other end of a connection with the peer, if there is one.
  std::optional<asio::ip::address> remote_address(const PeerId& peer) const;
  /// What a connected peer has said of itself.
  /// nullptr until it has; valid until the next wait.
  const PeerAbout* about(const PeerId& peer) const;

  const PeerId& peer_id() const;
  /// Where we listen; the port is the system's choice when the options' was 0.
  asio::ip::tcp::endpoint endpoint() const;
  /// Where others can reach us, without /p2p: the advertised addresses; else the local addresses of
  /// connections with peers; else those of our interfaces. Never unspecified; loopback only when we
  /// listen on loopback.
  std::vector<Multiaddr> addresses() const;

  /// For the status page.
  struct Counters {
    std::size_t connections = 0;
    std::size_t inbound = 0;
    std::size_t streams = 0;
    std::uint64_t dialled = 0;
    std::uint64_t accepted = 0;
    std::uint64_t failed_dials = 0;
    std::uint64_t failed_handshakes = 0;
    std::uint64_t refused = 0;  ///< by a limit
  };
  Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::dht
