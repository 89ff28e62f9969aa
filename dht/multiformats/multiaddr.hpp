// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dht/multiformats/peer_id.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring::dht {

/// Protocol numbers of multiaddrs (multiformats/multiaddr, protocols.csv).
enum class AddrProtocol : std::uint16_t {
  ip4 = 4,
  tcp = 6,
  ip6 = 41,
  ip6zone = 42,
  dns = 53,
  dns4 = 54,
  dns6 = 55,
  dnsaddr = 56,
  udp = 273,
  p2p_circuit = 290,
  p2p = 421,
  quic = 460,
  quic_v1 = 461,
  ws = 477,
  wss = 478,
};

/// An address made of parts, `/ip4/10.0.0.1/tcp/5001/p2p/12D3Koo…`. Only what can stand in a
/// mesh over TCP is known in full; addresses of other transports are read and never dialled.
class Multiaddr {
 public:
  struct Part {
    AddrProtocol protocol;
    Bytes value;
    bool operator==(const Part&) const = default;
  };

  /// `/ip4|ip6/…/tcp/…` of `endpoint`.
  static Multiaddr of(const asio::ip::tcp::endpoint& endpoint);
  /// Reads the text form. Errors: Errc::bad_message, Errc::too_large, Errc::unsupported (a
  /// protocol that isn't known).
  static Result<Multiaddr> parse(std::string_view text);
  /// Reads the binary form. Errors as parse's; at most 1024 bytes and 16 parts.
  static Result<Multiaddr> from_bytes(ByteView bytes);

  const std::vector<Part>& parts() const { return parts_; }
  Bytes to_bytes() const;
  std::string to_string() const;

  /// The endpoint if this is `/ip4|ip6/…/tcp/…`, with or without `/p2p/…` behind it.
  std::optional<asio::ip::tcp::endpoint> tcp_endpoint() const;
  /// A name and a port if this is `/dns|dns4|dns6/…/tcp/…`, with or without `/p2p/…` behind it.
  std::optional<std::pair<std::string, std::uint16_t>> tcp_name() const;
  /// The peer that a trailing `/p2p/…` names.
  std::optional<PeerId> peer() const;
  /// This without a trailing `/p2p/…`: what is compared and stored.
  Multiaddr without_peer() const;
  Multiaddr with_peer(const PeerId& peer) const;

  bool operator==(const Multiaddr&) const = default;

 private:
  /// The parts that say where, when the rest is /tcp and perhaps /p2p.
  bool is_tcp_address() const;

  std::vector<Part> parts_;
};

}  // namespace hagring::dht
