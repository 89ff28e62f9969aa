// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tcp_listen.hpp"

#include <boost/asio/ip/v6_only.hpp>

namespace hagring {

error_code listen(asio::ip::tcp::acceptor& acceptor, asio::ip::tcp::endpoint where) {
  using asio::ip::tcp;
  error_code error;
  acceptor.open(where.protocol(), error);
  if (error == asio::error::address_family_not_supported && where.address().is_unspecified()) {
    where = {tcp::v4(), where.port()};
    acceptor.open(where.protocol(), error);
  }
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && where.address().is_v6() && where.address().is_unspecified()) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor.bind(where, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

}  // namespace hagring
