// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <vector>

#include "userspace/base/asio.hpp"

namespace hagring::dht {

/// The addresses of this machine's interfaces that are up, but for loopback and link-local ones;
/// at most 16. Empty when the system doesn't tell.
std::vector<asio::ip::address> interface_addresses();

}  // namespace hagring::dht
