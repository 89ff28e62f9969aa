// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring::dht {

/// Why a connection or a stream of the mesh failed, beside hagring::Errc.
enum class NetErrc {
  no_common_protocol = 1,  ///< the other side speaks none of the protocols that were offered
  bad_certificate,         ///< the certificate doesn't prove a libp2p identity
  wrong_peer,              ///< the other side proved to be another peer than the one dialled
  stream_reset,            ///< the other side aborted the stream
  session_closed,          ///< the connection that carried the stream has ended
  keepalive_missed,        ///< the other side stopped answering pings
  limit_reached,           ///< a limit of ours on connections, streams or memory
  handshake_failed,        ///< TLS came to no end on a port that only members use
  not_a_member,            ///< the other side doesn't hold our mesh key, or refuses ours
};

const boost::system::error_category& net_category() noexcept;

inline error_code make_error_code(NetErrc code) noexcept {
  return {static_cast<int>(code), net_category()};
}

}  // namespace hagring::dht

template <>
struct boost::system::is_error_code_enum<hagring::dht::NetErrc> : std::true_type {};
