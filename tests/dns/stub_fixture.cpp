// SPDX-License-Identifier: Apache-2.0
#include "tests/dns/stub_fixture.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

namespace hagring::dns::test {
namespace {

using Endpoint = asio::ip::tcp::endpoint;

std::uint16_t port_of(int fd) {
  Endpoint name;
  auto size = static_cast<socklen_t>(name.capacity());
  ::getsockname(fd, name.data(), &size);
  name.resize(size);
  return name.port();
}

}  // namespace

StubClient::StubClient(const std::string& loopback, std::uint16_t port, Transport transport)
    : transport_(transport) {
  const Endpoint to(asio::ip::make_address(loopback), port);
  const int type = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  fd_ = UniqueFd(::socket(to.protocol().family(), type | SOCK_CLOEXEC, 0));
  if (::connect(fd_.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) {
    ADD_FAILURE() << "connect: " << std::strerror(errno);
  }
}

void StubClient::send(const Bytes& message) {
  auto bytes = message;
  if (transport_ == Transport::tcp) {
    bytes.insert(bytes.begin(), {static_cast<std::uint8_t>(message.size() >> 8),
                                 static_cast<std::uint8_t>(message.size())});
  }
  ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

Bytes StubClient::receive(std::chrono::milliseconds limit) {
  pollfd poll_fd{fd_.get(), POLLIN, 0};
  if (::poll(&poll_fd, 1, static_cast<int>(limit.count())) != 1) return {};
  Bytes message(65535);
  if (transport_ == Transport::tcp) {
    std::uint8_t length[2];
    if (::recv(fd_.get(), length, 2, MSG_WAITALL) != 2) return {};
    message.resize(static_cast<std::size_t>(length[0] << 8 | length[1]));
  }
  const auto got = ::recv(fd_.get(), message.data(), message.size(),
                          transport_ == Transport::tcp ? MSG_WAITALL : 0);
  message.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return message;
}

void StubTest::TearDown() {
  if (!thread_.joinable()) return;
  asio::co_spawn(context_, stub_->drain(), asio::use_future).get();
  context_.stop();
  thread_.join();
}

FakeNameServer& StubTest::serve(const std::string& address, Answer answer) {
  servers_.push_back(std::make_unique<FakeNameServer>(address, options_.port, std::move(answer)));
  return *servers_.back();
}

void StubTest::start(const std::vector<std::string>& servers) {
  stub_ = std::make_unique<Stub>(context_.get_executor(), clock_, doubtful_, options_,
                                 [](const std::string& name) { return name == kMirrored; });
  stub_->set_client_timeout(client_timeout_);
  for (const auto& server : servers) {
    const auto place = stub_->open(asio::ip::make_address(server));
    ASSERT_TRUE(place) << place.error().message();
    ports_.push_back({server, {port_of(place->udp_fd), port_of(place->tcp_fd)}});
  }
  thread_ = std::thread([this] {
    const auto work = asio::make_work_guard(context_);
    context_.run();
  });
}

StubClient StubTest::client(const std::string& server, Transport transport) {
  const auto place = std::find_if(ports_.begin(), ports_.end(),
                                  [&](const auto& entry) { return entry.first == server; });
  const auto [udp, tcp] = place->second;
  return {server.find(':') == std::string::npos ? "127.0.0.1" : "::1",
          transport == Transport::udp ? udp : tcp, transport};
}

FakeNameServer::Answer always(std::uint8_t code, std::string_view rest) {
  return [code, rest](const Bytes& query, bool) { return response(query, code, rest); };
}

FakeNameServer::Answer silence() {
  return [](const Bytes&, bool) { return std::nullopt; };
}

bool is_invented(const Bytes& reply, const Bytes& query) {
  const auto read = parse_query(query);
  return read && reply == make_answer(query, *read, asio::ip::make_address_v4("192.0.2.2"));
}

}  // namespace hagring::dns::test
