// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/inquiry.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "userspace/base/own_trouble.hpp"

namespace hagring::dns {
namespace {

using tcp = asio::ip::tcp;
using udp = asio::ip::udp;

/// Receives one datagram of any size without waiting, through one buffer a thread.
Result<Bytes> receive(udp::socket& socket) {
  thread_local std::array<std::uint8_t, kMaxMessage> buffer;
  error_code failed;
  const auto size = socket.receive(asio::buffer(buffer), 0, failed);
  if (failed) return failed;
  return Bytes(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
}

/// An IPv6 address is also missing where there is no network at all.
bool is_ours(const error_code& error, const Plan::Server& server) {
  if (server.address().is_v6() && error == boost::system::errc::address_not_available) {
    return false;
  }
  return is_own_trouble(error);
}

}  // namespace

std::string_view to_string(NoAnswer reason) {
  switch (reason) {
    case NoAnswer::silent:
      return "silent";
    case NoAnswer::unreachable:
      return "unreachable";
    case NoAnswer::serv_fail:
      return "servfail";
    case NoAnswer::refused:
      return "refused";
    case NoAnswer::nx_domain:
      return "nxdomain";
  }
  return "unknown";
}

Inquiry::Inquiry(asio::any_io_executor executor, Plan plan, Bytes message)
    : plan_(std::move(plan)),
      message_(std::move(message)),
      changed_(executor),
      tasks_(executor, "name server") {}

awaitable<Inquiry::Outcome> Inquiry::run() {
  begun_ = std::chrono::steady_clock::now();
  ask(plan_.asked);
  co_await wait_until(begun_ + (plan_.others.empty() ? plan_.limit : plan_.alone));
  if (!outcome_.answer && !co_await asked_to_stop()) {
    for (const auto& other : plan_.others) ask(other);
    co_await wait_until(begun_ + plan_.limit);
  }
  const bool silent = !outcome_.answer && active_ > 0 && outcome_.reason == NoAnswer::silent;
  if (!silent || plan_.late <= plan_.limit || co_await asked_to_stop()) co_await end();
  co_return std::move(outcome_);
}

awaitable<Inquiry::Outcome> Inquiry::run_on() {
  co_await wait_until(begun_ + plan_.late);
  co_await end();
  co_return std::move(outcome_);
}

awaitable<void> Inquiry::end() {
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<void> Inquiry::wait_until(TimePoint when) {
  while (!outcome_.answer && active_ > 0 && std::chrono::steady_clock::now() < when &&
         !co_await asked_to_stop()) {
    changed_.expires_at(when);
    co_await changed_.async_wait(kTuple);
  }
}

void Inquiry::ask(const Plan::Server& server) {
  ++active_;
  tasks_.spawn([this, server]() -> awaitable<void> {
    auto reply = co_await exchange(server);
    --active_;
    changed_.cancel();
    if (outcome_.answer || (!reply && is_cancelled(reply.error()))) co_return;
    if (!reply && is_ours(reply.error(), server)) {
      outcome_.own_trouble = true;
    } else if (const auto reason = weigh(reply); !reason) {
      outcome_.answer = *std::move(reply);
    } else if (server == plan_.asked) {
      outcome_.reason = *reason;
    }
  });
}

/// Why `reply` is no answer; nullopt if it is one.
std::optional<NoAnswer> Inquiry::weigh(const Result<Bytes>& reply) const {
  if (!reply) return NoAnswer::unreachable;
  if (!plan_.insistent) return std::nullopt;
  const auto code = response_code(*reply, message_);
  if (!code) return NoAnswer::serv_fail;
  switch (*code) {
    case Rcode::serv_fail:
      return NoAnswer::serv_fail;
    case Rcode::refused:
      return NoAnswer::refused;
    case Rcode::nx_domain:
      return NoAnswer::nx_domain;
    case Rcode::no_error:
      break;
  }
  return std::nullopt;
}

awaitable<Result<Bytes>> Inquiry::exchange(Plan::Server server) {
  if (plan_.transport == Transport::tcp) return exchange_stream(server);
  return exchange_datagrams({server.address(), server.port()});
}

awaitable<Result<Bytes>> Inquiry::exchange_datagrams(udp::endpoint server) {
  udp::socket socket(co_await asio::this_coro::executor);
  error_code failed;
  // Connected, so that nobody else's datagrams come in and a refusal (ICMP) is heard. The port is
  // the kernel's random choice, as the client's would be.
  socket.open(server.protocol(), failed);
  if (!failed) socket.non_blocking(true, failed);
  if (!failed) socket.connect(server, failed);
  if (!failed) socket.send(asio::buffer(message_), 0, failed);
  if (failed) co_return failed;
  while (!co_await asked_to_stop()) {
    auto [error] = co_await socket.async_wait(udp::socket::wait_read, kTuple);
    if (error) co_return error;
    auto reply = receive(socket);
    if (reply && response_code(*reply, message_)) co_return reply;
    // What doesn't answer this query, the client would have passed over, too.
    if (!reply && reply.error() != asio::error::would_block) co_return reply.error();
  }
  co_return Errc::cancelled;
}

awaitable<Result<Bytes>> Inquiry::exchange_stream(tcp::endpoint server) {
  tcp::socket socket(co_await asio::this_coro::executor);
  if (auto [error] = co_await socket.async_connect(server, kTuple); error) co_return error;
  std::array<std::uint8_t, 2> length{static_cast<std::uint8_t>(message_.size() >> 8),
                                     static_cast<std::uint8_t>(message_.size())};
  const std::array<asio::const_buffer, 2> parts{asio::buffer(length), asio::buffer(message_)};
  // A cancellation that came while a completion was queued doesn't end the next operation.
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (auto [error, size] = co_await asio::async_write(socket, parts, kTuple); error) {
    co_return error;
  }
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (auto [error, size] = co_await asio::async_read(socket, asio::buffer(length), kTuple); error) {
    co_return error;
  }
  Bytes reply(static_cast<std::size_t>(length[0] << 8 | length[1]));
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (auto [error, size] = co_await asio::async_read(socket, asio::buffer(reply), kTuple); error) {
    co_return error;
  }
  if (!response_code(reply, message_)) co_return Errc::bad_message;
  co_return reply;
}

}  // namespace hagring::dns
