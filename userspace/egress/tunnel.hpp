// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

#include "userspace/base/asio.hpp"
#include "userspace/egress/error.hpp"

namespace hagring::egress {

/// A request for a tunnel to `host` at `port` (RFC 9110, section 9.3.6), as Go's net/http writes
/// it. `authorization`: the value of Proxy-Authorization; empty: none.
std::string tunnel_request(std::string_view host, std::uint16_t port,
                           std::string_view authorization);

/// Sends `request` to the proxy that `socket` is connected to, and reads its answer up to the
/// answer's end: the socket is then the tunnel. No deadline of its own.
/// Errors: Errc of this folder; hagring::Errc::bad_message for what is no answer of HTTP or comes
/// with bytes behind it (the tunnel's server can't have been asked anything yet), Errc::too_large,
/// Errc::end_of_stream, or the system's.
awaitable<Result<void>> open_tunnel(asio::ip::tcp::socket& socket, std::string request);

}  // namespace hagring::egress
