// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/egress_dialer.hpp"

#include "userspace/base/deadline.hpp"
#include "userspace/egress/tunnel.hpp"

namespace hagring::egress {
namespace {

bool client_chose_address(const Destination& destination) {
  return destination.preferred || destination.host.empty();
}

}  // namespace

awaitable<Result<asio::ip::tcp::socket>> EgressDialer::dial(Destination destination) {
  if (!client_chose_address(destination)) {
    auto proxy = egress_.proxy_for(destination.tls, destination.host, destination.port);
    if (proxy && !proxy->supported()) co_return Errc::unsupported_proxy;
    if (proxy && destination.tls) {
      co_return co_await tunnel(*std::move(proxy), std::move(destination));
    }
  }
  co_return co_await direct_.dial(std::move(destination));
}

awaitable<Result<asio::ip::tcp::socket>> EgressDialer::tunnel(Proxy proxy,
                                                              Destination destination) {
  CO_TRY(auto socket,
         co_await direct_.dial({.preferred = {}, .host = proxy.host, .port = proxy.port}));
  auto request = tunnel_request(destination.host, destination.port, proxy.authorization);
  CO_CHECK(co_await with_deadline(clock_, kTunnelLimit, open_tunnel(socket, std::move(request))));
  co_return std::move(socket);
}

std::optional<PlainProxy> EgressDialer::plain_proxy(const Destination& destination) const {
  if (client_chose_address(destination)) return std::nullopt;
  auto proxy = egress_.proxy_for(false, destination.host, destination.port);
  if (!proxy || !proxy->supported()) return std::nullopt;
  return PlainProxy{std::move(proxy->host), proxy->port, std::move(proxy->authorization)};
}

}  // namespace hagring::egress
