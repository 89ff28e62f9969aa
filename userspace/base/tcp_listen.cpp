// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tcp_listen.hpp"

#include <boost/asio/ip/v6_only.hpp>

namespace hagring {

namespace {

using asio::ip::tcp;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

error_code bind(tcp::acceptor& acceptor, tcp::endpoint where, bool share) {
  error_code error;
  acceptor.open(where.protocol(), error);
  if (error == asio::error::address_family_not_supported && where.address().is_unspecified()) {
    where = {tcp::v4(), where.port()};
    acceptor.open(where.protocol(), error);
  }
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.set_option(ReusePort(share), error);
  if (!error && where.address().is_v6() && where.address().is_unspecified()) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor.bind(where, error);
  return error;
}

}  // namespace

error_code listen(tcp::acceptor& acceptor, tcp::endpoint where, PortSharing sharing) {
  if (sharing == PortSharing::refused && where.port() != 0) {
    // All sockets of a shared port must have been opened for it. So the one that stays is, and
    // another one shows before that nobody has the port: without SO_REUSEPORT bind() refuses.
    tcp::acceptor probe(acceptor.get_executor());
    if (const auto error = bind(probe, where, false)) return error;
  }
  auto error = bind(acceptor, where, true);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

}  // namespace hagring
