// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Opens and binds `acceptor`. "All addresses" of IPv6 are those of IPv4 too, and on a machine
/// without IPv6 those of IPv4 alone.
error_code listen(asio::ip::tcp::acceptor& acceptor, asio::ip::tcp::endpoint where);

}  // namespace hagring
