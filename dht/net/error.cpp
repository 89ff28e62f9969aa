// SPDX-License-Identifier: Apache-2.0
#include "dht/net/error.hpp"

namespace hagring::dht {
namespace {

class NetCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring.dht"; }

  std::string message(int value) const override {
    switch (static_cast<NetErrc>(value)) {
      case NetErrc::no_common_protocol:
        return "the peer speaks none of the protocols offered";
      case NetErrc::bad_certificate:
        return "the peer's certificate does not prove a libp2p identity";
      case NetErrc::wrong_peer:
        return "the peer is not the one that was dialled; its address may have a new owner";
      case NetErrc::stream_reset:
        return "the peer reset the stream";
      case NetErrc::session_closed:
        return "the connection that carried the stream has ended";
      case NetErrc::keepalive_missed:
        return "the peer stopped answering keep-alive pings";
      case NetErrc::limit_reached:
        return "a limit on connections, streams or memory was reached";
      case NetErrc::handshake_failed:
        return "the TLS handshake failed; the other side may be no agent of this mesh, or expect "
               "another peer here";
      case NetErrc::not_a_member:
        return "the peer is not of our mesh; compare the mesh keys of the two nodes";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const boost::system::error_category& net_category() noexcept {
  static const NetCategory category;
  return category;
}

}  // namespace hagring::dht
