// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "userspace/base/unique_fd.hpp"

namespace hagring::test {

/// A TCP socket used with plain blocking calls, so that tests of the proxy don't share its
/// machinery. Every call throws after 30 s.
class BlockingSocket {
 public:
  BlockingSocket() = default;
  explicit BlockingSocket(int fd);

  /// Connects to 127.0.0.1 or another address.
  static BlockingSocket connect(const boost::asio::ip::tcp::endpoint& to);

  void send(std::string_view bytes);
  /// Sends until nothing has fitted for 200 ms; returns how many bytes that took.
  std::size_t fill();
  /// Up to 256 KiB; empty at FIN.
  std::string receive_some();
  std::string receive(std::size_t size);
  std::string receive_all();
  void wait_readable();
  /// Reads until an error comes, before or after FIN, and returns its errno.
  int wait_for_error();

  void finish();  ///< FIN
  void reset();   ///< RST
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

/// The two ends of a TCP connection over loopback; the second is `context`'s.
std::pair<BlockingSocket, boost::asio::ip::tcp::socket> connected_pair(
    boost::asio::io_context& context);

}  // namespace hagring::test
