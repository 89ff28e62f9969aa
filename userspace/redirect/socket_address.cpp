// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/socket_address.hpp"

#include <sys/socket.h>

#include "userspace/base/address.hpp"
#include "userspace/base/unique_fd.hpp"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace hagring::redirect {
namespace {

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Result<asio::ip::tcp::endpoint> endpoint(int fd, NameCall call) {
  asio::ip::tcp::endpoint name;
  socklen_t size = static_cast<socklen_t>(name.capacity());
  if (call(fd, name.data(), &size) != 0) return last_system_error();
  if (name.data()->sa_family != AF_INET && name.data()->sa_family != AF_INET6) {
    return hagring::Errc::unsupported;
  }
  name.resize(size);
  name.address(unmapped(name.address()));
  return name;
}

}  // namespace

Result<asio::ip::tcp::endpoint> local_endpoint(int fd) {
  return endpoint(fd, [](int s, sockaddr* a, socklen_t* n) { return ::getsockname(s, a, n); });
}

Result<asio::ip::tcp::endpoint> peer_endpoint(int fd) {
  return endpoint(fd, [](int s, sockaddr* a, socklen_t* n) { return ::getpeername(s, a, n); });
}

Result<std::uint64_t> netns_cookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return last_system_error();
  }
  return cookie;
}

bool can_ask_netns_cookie() {
  const UniqueFd any(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return any && netns_cookie(any.get()).has_value();
}

}  // namespace hagring::redirect
