// SPDX-License-Identifier: Apache-2.0
#include "tests/proxy/blocking_socket.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace hagring::test {
namespace {

using tcp = boost::asio::ip::tcp;

constexpr int kPatienceMilliseconds = 30'000;

[[noreturn]] void fail(const char* what, int code = errno) {
  throw std::system_error(code, std::system_category(), what);
}

bool wait(int fd, short events, int milliseconds = kPatienceMilliseconds) {
  pollfd entry{fd, events, 0};
  const int ready = poll(&entry, 1, milliseconds);
  if (ready < 0) fail("poll");
  return ready == 1;
}

}  // namespace

BlockingSocket::BlockingSocket(int fd) : fd_(fd) {}

BlockingSocket BlockingSocket::connect(const tcp::endpoint& to) {
  BlockingSocket socket(::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.fd(), to.data(), static_cast<socklen_t>(to.size())) != 0) fail("connect");
  return socket;
}

void BlockingSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN) {
      fail("send");
    } else if (!wait(fd(), POLLOUT)) {
      fail("send", ETIMEDOUT);
    }
  }
}

std::size_t BlockingSocket::fill() {
  const std::string block(65536, 'f');
  std::size_t total = 0;
  while (wait(fd(), POLLOUT, 200)) {
    const ssize_t sent = ::send(fd(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) fail("send");
    if (sent > 0) total += static_cast<std::size_t>(sent);
  }
  return total;
}

std::string BlockingSocket::receive_some() {
  wait_readable();
  std::string bytes(256 * 1024, '\0');
  const ssize_t size = ::recv(fd(), bytes.data(), bytes.size(), 0);
  if (size < 0) fail("recv");
  bytes.resize(static_cast<std::size_t>(size));
  return bytes;
}

std::string BlockingSocket::receive(std::size_t size) {
  std::string all;
  while (all.size() < size) {
    wait_readable();
    std::string part(size - all.size(), '\0');
    const ssize_t got = ::recv(fd(), part.data(), part.size(), 0);
    if (got < 0) fail("recv");
    if (got == 0) break;
    all.append(part, 0, static_cast<std::size_t>(got));
  }
  return all;
}

std::string BlockingSocket::receive_all() {
  std::string all;
  for (std::string part; !(part = receive_some()).empty();) all += part;
  return all;
}

void BlockingSocket::wait_readable() {
  if (!wait(fd(), POLLIN)) fail("recv", ETIMEDOUT);
}

int BlockingSocket::wait_for_error() {
  try {
    receive_all();
    // After FIN recv(2) goes on saying 0.
    if (!wait(fd(), 0)) fail("waiting for an error", ETIMEDOUT);
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &code, &size);
    return code;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

void BlockingSocket::finish() {
  if (::shutdown(fd(), SHUT_WR) != 0) fail("shutdown");
}

void BlockingSocket::reset() {
  const linger option{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
  close();
}

std::pair<BlockingSocket, tcp::socket> connected_pair(boost::asio::io_context& context) {
  tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
  auto client = BlockingSocket::connect(acceptor.local_endpoint());
  return {std::move(client), acceptor.accept()};
}

}  // namespace hagring::test
