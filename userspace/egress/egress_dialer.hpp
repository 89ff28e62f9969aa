// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/egress/egress.hpp"

namespace hagring::egress {

/// Connects to origins as the client does: what it would have asked a proxy for, by a tunnel
/// through that proxy. An address that the client has chosen itself is connected to directly.
/// For origins only: peers have the plain dialer. Safe from any thread.
class EgressDialer final : public Dialer {
 public:
  /// For the proxy's answer; it connects to the server meanwhile.
  static constexpr Duration kTunnelLimit = std::chrono::seconds(10);

  /// All of them outlive this.
  EgressDialer(Clock& clock, Dialer& direct, const Egress& egress)
      : clock_(clock), direct_(direct), egress_(egress) {}

  /// Errors beyond the direct dialer's: see open_tunnel; Errc::unsupported_proxy.
  awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) override;

  std::optional<PlainProxy> plain_proxy(const Destination& destination) const override;

 private:
  awaitable<Result<asio::ip::tcp::socket>> tunnel(Proxy proxy, Destination destination);

  Clock& clock_;
  Dialer& direct_;
  const Egress& egress_;
};

}  // namespace hagring::egress
