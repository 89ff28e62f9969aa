// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/listener.hpp"

#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "userspace/base/address.hpp"
#include "userspace/base/closed_first.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/node_ports.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/proxy/splice.hpp"

namespace hagring::proxy {
namespace {

using tcp = asio::ip::tcp;

constexpr int kBacklog = 4096;
/// After a failed accept, in pauses: longer than one, so that has_room() doesn't flicker between
/// two attempts.
constexpr int kRoomAfterPauses = 5;
/// How often drain() looks whether connections have ended, and after how many looks it cancels
/// them again: later than a session lingers at a stop.
constexpr auto kDrainRound = std::chrono::milliseconds(10);
constexpr int kRoundsBetweenCancels = 50;
/// Between two log lines about failed accepts.
constexpr auto kComplaintInterval = std::chrono::seconds(10);

/// Takes a connection off the count, however it ends.
struct Leave {
  explicit Leave(std::atomic<std::size_t>& connections) : count(connections) {}
  Leave(const Leave&) = delete;
  Leave& operator=(const Leave&) = delete;
  ~Leave() { --count; }
  std::atomic<std::size_t>& count;
};

/// A cancellation that falls between two operations ends neither (asked_to_stop()), and not all
/// that serves connections is ours: say it again until it was heard.
awaitable<void> cancel_until_empty(TaskGroup& group) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int round = 0; group.size() > 0; ++round) {
    if (round % kRoundsBetweenCancels == 0) group.cancel();
    timer.expires_after(kDrainRound);
    co_await timer.async_wait(kTuple);
  }
  co_await group.drain();
}

Result<std::unique_ptr<tcp::acceptor>> listen_on(const asio::any_io_executor& executor,
                                                 const tcp::endpoint& endpoint) {
  auto acceptor = std::make_unique<tcp::acceptor>(executor);
  error_code failed;
  acceptor->open(endpoint.protocol(), failed);
  if (!failed && endpoint.protocol() == tcp::v6()) {
    acceptor->set_option(asio::ip::v6_only(true), failed);
  }
  if (!failed) acceptor->set_option(asio::socket_base::reuse_address(true), failed);
  if (!failed) acceptor->bind(endpoint, failed);
  if (!failed) acceptor->listen(kBacklog, failed);
  if (!failed) failed = close_first(*acceptor);
  if (failed) return failed;
  return acceptor;
}

/// Listens on `address`; ephemeral ports that lie within the NodePort range are held until another
/// is found, so that the kernel doesn't offer them again.
Result<std::unique_ptr<tcp::acceptor>> listen_outside_node_ports(
    const asio::any_io_executor& executor, const asio::ip::address& address, std::uint16_t port) {
  std::vector<std::unique_ptr<tcp::acceptor>> refused;
  for (int attempt = 0; attempt < kNodePortAttempts; ++attempt) {
    TRY(auto acceptor, listen_on(executor, {address, port}));
    if (!is_node_port(acceptor->local_endpoint().port())) return acceptor;
    refused.push_back(std::move(acceptor));
  }
  return error_code(asio::error::address_in_use);
}

void refuse_node_port(std::uint16_t port) {
  if (!is_node_port(port)) return;
  throw StartError(fmt::format(
      "the mirror can't listen on port {}: within the NodePort range {}-{} Cilium may take "
      "connections to it for a service's. Choose another port, or 0 for any.",
      port, kFirstNodePort, kLastNodePort));
}

}  // namespace

Listener::Listener(asio::any_io_executor accept, std::vector<asio::any_io_executor> data,
                   Options options, Serve serve)
    : accept_(std::move(accept)),
      data_(std::move(data)),
      options_(options),
      serve_(std::move(serve)),
      accepting_(accept_, "listener") {
  refuse_node_port(options_.port_v4);
  refuse_node_port(options_.port_v6);
  auto v4 = listen_outside_node_ports(accept_, asio::ip::address_v4::loopback(), options_.port_v4);
  if (!v4) {
    throw StartError(fmt::format(
        "the mirror can't listen on 127.0.0.1:{}: {}. Is the port in use (ss -ltnp), or does "
        "net.ipv4.ip_local_port_range lie within {}-{}?",
        options_.port_v4, v4.error().message(), kFirstNodePort, kLastNodePort));
  }
  v4_ = *std::move(v4);
  endpoint_v4_ = v4_->local_endpoint();
  auto v6 = listen_outside_node_ports(accept_, asio::ip::address_v6::loopback(), options_.port_v6);
  if (v6) {
    v6_ = *std::move(v6);
    endpoint_v6_ = v6_->local_endpoint();
  } else {
    log::warning("listener", "no listener on ::1 ({}): IPv6 connections are left alone",
                 v6.error().message());
  }
  for (const auto& executor : data_) {
    serving_.push_back(std::make_unique<TaskGroup>(executor, "connection"));
  }
}

Listener::~Listener() = default;

void Listener::start() {
  for (const auto& acceptor : {v4_.get(), v6_.get()}) {
    if (acceptor) accepting_.spawn([this, acceptor] { return accept_from(*acceptor); });
  }
}

awaitable<void> Listener::accept_from(Acceptor& acceptor) {
  for (std::size_t index = 0; !stopping_; index = (index + 1) % data_.size()) {
    auto [error, socket] = co_await acceptor.async_accept(data_[index], kTuple);
    if (is_cancelled(error)) co_return;
    if (error) {
      co_await recover(error);
    } else if (connections_ >= 2 * options_.max_connections) {
      ++counters_.turned_away;
      reset(socket);
    } else {
      ++counters_.accepted;
      hand_over(std::move(socket), index);
      if (connections_ >= options_.max_connections && options_.full) options_.full();
    }
  }
}

/// Waits, so that a lack of descriptors or memory (EMFILE, ENFILE, ENOBUFS) doesn't become a busy
/// loop; what belongs to the one connection only (ECONNABORTED; accept(2)) costs it no wait.
awaitable<void> Listener::recover(error_code error) {
  const auto now = std::chrono::steady_clock::now();
  if (error != asio::error::connection_aborted) {
    no_room_until_ = (now + kRoomAfterPauses * options_.pause).time_since_epoch().count();
  }
  ++counters_.accept_failed;
  if (now - complained_ >= kComplaintInterval) {
    complained_ = now;
    log::warning("listener",
                 "accept failed: {}; with {} connections open. New ones go past the mirror "
                 "meanwhile. Raise the limit of open files (LimitNOFILE=) if this stays.",
                 error.message(), connections_.load());
  }
  if (error == asio::error::connection_aborted) co_return;
  asio::steady_timer timer(accept_, options_.pause);
  co_await timer.async_wait(kTuple);
}

void Listener::hand_over(tcp::socket socket, std::size_t index) {
  ++connections_;
  asio::post(data_[index], [this, index, socket = std::move(socket)]() mutable {
    serving_[index]->spawn([this, index, socket = std::move(socket)]() mutable -> awaitable<void> {
      const Leave leave(connections_);
      set_connection_options(socket);
      co_await serve_(std::move(socket), index);
    });
  });
}

awaitable<void> Listener::drain() {
  stopping_ = true;
  accepting_.cancel();
  co_await accepting_.drain();
  v4_.reset();
  v6_.reset();
  for (std::size_t i = 0; i < data_.size(); ++i) {
    // On the group's own thread, behind whatever was handed over before.
    co_await asio::co_spawn(data_[i], cancel_until_empty(*serving_[i]), kTuple);
  }
}

int Listener::fd_v4() const { return v4_ ? v4_->native_handle() : -1; }
int Listener::fd_v6() const { return v6_ ? v6_->native_handle() : -1; }

bool Listener::is_own(const tcp::endpoint& endpoint) const {
  const auto address = unmapped(endpoint.address());
  return (address.is_loopback() || address.is_unspecified()) && endpoint.port() != 0 &&
         (endpoint.port() == endpoint_v4_.port() || endpoint.port() == endpoint_v6_.port());
}

bool Listener::has_room() const {
  return connections_ < options_.max_connections &&
         std::chrono::steady_clock::now().time_since_epoch().count() >= no_room_until_;
}

}  // namespace hagring::proxy
