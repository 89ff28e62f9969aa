// SPDX-License-Identifier: Apache-2.0
#include "tests/dns/fake_name_server.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>

#include "userspace/base/asio.hpp"

namespace hagring::dns::test {
namespace {

using Endpoint = asio::ip::tcp::endpoint;

UniqueFd bound(const Endpoint& where, int type) {
  UniqueFd fd(::socket(where.protocol().family(), type | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), where.data(), static_cast<socklen_t>(where.size())) != 0) return UniqueFd();
  return fd;
}

bool readable(const UniqueFd& fd, int limit_ms) {
  pollfd poll_fd{fd.get(), POLLIN, 0};
  return fd && ::poll(&poll_fd, 1, limit_ms) == 1;
}

}  // namespace

FakeNameServer::FakeNameServer(const std::string& address, std::uint16_t port, Answer answer)
    : answer_(std::move(answer)) {
  const Endpoint where(asio::ip::make_address(address), port);
  udp_ = bound(where, SOCK_DGRAM);
  tcp_ = bound(where, SOCK_STREAM);
  if (!udp_ || !tcp_ || ::listen(tcp_.get(), 16) != 0) throw std::runtime_error("port in use");
  thread_ = std::thread([this] { serve(); });
}

FakeNameServer::~FakeNameServer() {
  ended_ = true;
  thread_.join();
}

void FakeNameServer::serve() {
  while (!ended_) {
    if (readable(udp_, 2)) serve_datagram();
    if (readable(tcp_, 0)) client_ = UniqueFd(::accept(tcp_.get(), nullptr, nullptr));
    if (readable(client_, 0)) serve_stream();
  }
}

void FakeNameServer::serve_datagram() {
  Bytes query(65535);
  Endpoint from;
  auto size = static_cast<socklen_t>(from.capacity());
  const auto got = ::recvfrom(udp_.get(), query.data(), query.size(), 0, from.data(), &size);
  if (got < 0) return;
  query.resize(static_cast<std::size_t>(got));
  ++queries_;
  if (const auto reply = answer_(query, false)) {
    ::sendto(udp_.get(), reply->data(), reply->size(), 0, from.data(), size);
  }
}

void FakeNameServer::serve_stream() {
  std::uint8_t length[2];
  if (::recv(client_.get(), length, 2, MSG_WAITALL) != 2) return client_.reset();
  Bytes query(static_cast<std::size_t>(length[0] << 8 | length[1]));
  if (::recv(client_.get(), query.data(), query.size(), MSG_WAITALL) < 0) return client_.reset();
  ++queries_;
  if (auto reply = answer_(query, true)) {
    const auto bytes = reply->size();
    reply->insert(reply->begin(),
                  {static_cast<std::uint8_t>(bytes >> 8), static_cast<std::uint8_t>(bytes)});
    ::send(client_.get(), reply->data(), reply->size(), MSG_NOSIGNAL);
  }
}

std::uint16_t free_port() {
  for (int port = 20053; port < 30000; port += 7) {
    const Endpoint where(asio::ip::address_v4::any(), static_cast<std::uint16_t>(port));
    if (bound(where, SOCK_DGRAM) && bound(where, SOCK_STREAM)) return where.port();
  }
  throw std::runtime_error("no free port");
}

}  // namespace hagring::dns::test
