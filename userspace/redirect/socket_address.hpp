// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// A TCP socket's own and its peer's address; ::ffff:a.b.c.d comes as IPv4.
Result<asio::ip::tcp::endpoint> local_endpoint(int fd);
Result<asio::ip::tcp::endpoint> peer_endpoint(int fd);

/// The kernel's number for the socket's network namespace (SO_NETNS_COOKIE, Linux 5.14).
Result<std::uint64_t> netns_cookie(int fd);

/// Whether this kernel answers netns_cookie().
bool can_ask_netns_cookie();

}  // namespace hagring::redirect
