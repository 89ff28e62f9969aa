// SPDX-License-Identifier: Apache-2.0
#include "tests/redirect/names_fixture.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hagring::redirect::test {

UniqueFd datagram_socket(const Endpoint& to) {
  return UniqueFd(::socket(to.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

UniqueFd bound_datagram_socket(const Endpoint& address) {
  UniqueFd fd = datagram_socket(address);
  if (::bind(fd.get(), address.data(), static_cast<socklen_t>(address.size())) != 0) {
    std::perror("bound_datagram_socket");
    return UniqueFd();
  }
  return fd;
}

bool readable(int fd, int limit_ms) {
  pollfd poll_fd{fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, limit_ms) == 1;
}

ClientProcess::Body asks(Endpoint to) {
  return [to](Conversation& parent) {
    while (!parent.hear().empty()) {
      const auto socket = datagram_socket(to);
      if (::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) {
        parent.say(std::strerror(errno));
        continue;
      }
      const auto peer = peer_name(socket.get());
      std::array<char, 64> answer{};
      Endpoint from;
      auto size = static_cast<socklen_t>(from.capacity());
      if (::send(socket.get(), "query", 5, 0) != 5 || !readable(socket.get(), 5000) ||
          ::recvfrom(socket.get(), answer.data(), answer.size(), 0, from.data(), &size) < 0) {
        parent.say(peer + " " + std::strerror(errno));
        continue;
      }
      from.resize(size);
      // Older versions of glibc compare it with whom they have asked.
      const auto source = from.address().to_string() + ":" + std::to_string(from.port());
      parent.say((source == peer ? peer : peer + " but from " + source) + " " + answer.data());
    }
  };
}

ClientProcess::Body asks_unconnected(Endpoint to) {
  return [to](Conversation& parent) {
    while (!parent.hear().empty()) {
      const auto socket = datagram_socket(to);
      std::array<char, 64> answer{};
      Endpoint from;
      auto size = static_cast<socklen_t>(from.capacity());
      if (::sendto(socket.get(), "query", 5, 0, to.data(), static_cast<socklen_t>(to.size())) !=
              5 ||
          !readable(socket.get(), 5000) ||
          ::recvfrom(socket.get(), answer.data(), answer.size(), 0, from.data(), &size) < 0) {
        parent.say(std::strerror(errno));
        continue;
      }
      from.resize(size);
      parent.say(from.address().to_string() + ":" + std::to_string(from.port()) + " " +
                 answer.data());
    }
  };
}

bool answer_with(int fd, std::string_view text, int limit_ms) {
  std::array<char, 64> query{};
  Endpoint from;
  auto size = static_cast<socklen_t>(from.capacity());
  if (!readable(fd, limit_ms) ||
      ::recvfrom(fd, query.data(), query.size(), 0, from.data(), &size) < 0) {
    return false;
  }
  return ::sendto(fd, text.data(), text.size(), 0, from.data(), size) ==
         static_cast<ssize_t>(text.size());
}

}  // namespace hagring::redirect::test
