// SPDX-License-Identifier: Apache-2.0
// Connections to an egress proxy: what is asked of the proxy is answered in its place for mirrored
// registries; everything else is the proxy's, byte for byte, refusals included.
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/egress/tunnel.hpp"
#include "userspace/proxy/one_session.hpp"

namespace hagring::proxy {
namespace {

/// What Go's net/http wants: any 2xx (RFC 9110, section 9.3.6).
constexpr std::string_view kYes = "HTTP/1.1 200 Connection established\r\n\r\n";

awaitable<Result<void>> write_all(asio::ip::tcp::socket& socket, std::string_view text) {
  const auto [error, size] =
      co_await asio::async_write(socket, asio::buffer(text.data(), text.size()), kTuple);
  if (error) co_return error;
  co_return Result<void>();
}

}  // namespace

std::optional<Sessions::Session::Opening> Sessions::Session::recognize_request() {
  switch (asked_.request().kind) {
    case egress::ProxiedRequest::Kind::need_more:
      return std::nullopt;
    case egress::ProxiedRequest::Kind::tunnel:
      return Opening::tunnel;
    case egress::ProxiedRequest::Kind::plain:
      return Opening::proxied_http;
    case egress::ProxiedRequest::Kind::other:
      break;
  }
  return Opening::other;
}

/// The trust probe's address, which is nobody's: no proxy ever hears of it.
bool Sessions::Session::asks_for_probe() const {
  const auto& asked = asked_.request();
  return asked.port == options_.probe.port() && asked.host == options_.probe.address().to_string();
}

/// Decided before we say yes, since after that the client can't be told the proxy's no.
awaitable<void> Sessions::Session::serve_tunnel() {
  const auto& asked = asked_.request();
  original_.tunnel_port = asked.port;
  if (!asks_for_probe()) {
    if (!is_host_name(asked.host)) co_return co_await splice(SpliceReason::not_mirrored);
    const auto decision = co_await decide_in_time(asked.host);
    if (!decision.terminate) co_return co_await splice(decision.reason);
  }
  const auto said_yes = co_await accept_tunnel();
  const auto opening = said_yes ? co_await read_opening() : Opening::left;
  if (opening == Opening::left || co_await asked_to_stop()) {
    ++count().left_early;
    co_return;
  }
  if (opening != Opening::tls) co_return co_await serve(opening);
  co_await serve_in_tunnel();
}

awaitable<Result<void>> Sessions::Session::accept_tunnel() {
  asks_proxy_ = false;
  in_tunnel_ = true;
  co_return co_await with_deadline(owner_.clock_, options_.handshake_limit,
                                   write_all(client_, kYes));
}

awaitable<void> Sessions::Session::serve_in_tunnel() {
  const auto& hello = opening_.hello();
  if (asks_for_probe()) {
    if (!hello.server_name.empty()) co_return co_await splice(SpliceReason::not_mirrored);
    co_return co_await terminate(options_.probe.address().to_string(), true);
  }
  if (hello.server_name.empty()) co_return co_await splice(SpliceReason::no_server_name);
  if (!hello.can_be_terminated() || hello.has_encrypted_client_hello) {
    co_return co_await splice(SpliceReason::hello_unsupported);
  }
  // The decision was about the name that the proxy was told.
  if (hello.server_name != asked_.request().host) {
    co_return co_await splice(SpliceReason::not_mirrored);
  }
  co_await terminate(hello.server_name, false);
}

awaitable<void> Sessions::Session::serve_proxied_http() {
  const auto& asked = asked_.request();
  if (!hooks_.mirrors_plain(asked.host, asked.port)) {
    co_return co_await splice(SpliceReason::not_mirrored);
  }
  ++count().plain;
  co_await hand_over(std::make_shared<SocketStream>(std::move(client_)),
                     {.stream = nullptr,
                      .host = asked.host,
                      .port = asked.port,
                      .original = original_.endpoint,
                      .proxied = true,
                      .tls = false,
                      .probe = false,
                      .client_pid = original_.client_pid},
                     asked_.for_server());
}

/// The proxy itself, or, where we have said yes in its place, the tunnel, which it is then asked
/// for in the client's own words. What it may refuse now the client can't hear any more.
awaitable<Result<asio::ip::tcp::socket>> Sessions::Session::dial_proxy() {
  if (in_tunnel_ && asks_for_probe()) co_return Errc::unavailable;
  CO_TRY(auto socket, co_await owner_.dialer_.dial(
                          {original_.endpoint, proxy_host_, original_.endpoint.port()}));
  if (in_tunnel_) {
    CO_CHECK(
        co_await with_deadline(owner_.clock_, options_.tunnel_limit,
                               egress::open_tunnel(socket, std::string(as_text(asked_.bytes())))));
  }
  co_return std::move(socket);
}

}  // namespace hagring::proxy
