// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Whether a port may be one that another process of ours listens on.
enum class PortSharing {
  refused,
  allowed,  ///< by a successor of the agent that has it (SO_REUSEPORT, socket(7))
};

/// Opens and binds `acceptor`. "All addresses" of IPv6 are those of IPv4 too, and on a machine
/// without IPv6 those of IPv4 alone. Whoever comes later with PortSharing::allowed may share it.
error_code listen(asio::ip::tcp::acceptor& acceptor, asio::ip::tcp::endpoint where,
                  PortSharing sharing = PortSharing::refused);

}  // namespace hagring
