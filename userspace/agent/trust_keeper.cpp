// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/trust_keeper.hpp"

#include <boost/asio/post.hpp>
#include <random>
#include <utility>

#include "userspace/base/bytes.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

/// Unguessable, so that nobody else's request passes for our probe; a valid tag.
std::string make_nonce() {
  std::random_device random;
  Bytes bytes(16);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return to_hex(bytes);
}

}  // namespace

TrustKeeper::TrustKeeper(asio::any_io_executor control, Clock& clock, proxy::Prober& prober,
                         proxy::TrustOptions options)
    : control_(std::move(control)),
      clock_(clock),
      prober_(prober),
      trust_(clock, options),
      changed_(control_) {}

awaitable<void> TrustKeeper::run() {
  while (true) {
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
    const auto due = trust_.probe_due_at();
    if (!due || *due > clock_.now()) {
      changed_.expires_at(due.value_or(TimePoint::max()));
      co_await changed_.async_wait(kTuple);
      continue;
    }
    const auto nonce = make_nonce();
    trust_.probe_started(nonce);
    const auto error = co_await prober_.probe(nonce);
    trust_.probe_failed(nonce, error);
    log::info("trust", "the client is {}: {}", proxy::to_string(trust_.state()), trust_.reason());
  }
}

void TrustKeeper::client_appeared(pid_t pid, WallTime started) {
  trust_.client_appeared(pid, started);
  changed_.cancel();
}

void TrustKeeper::client_gone(pid_t pid) {
  trust_.client_gone(pid);
  changed_.cancel();
}

void TrustKeeper::probe_seen(pid_t pid, std::string nonce) {
  asio::post(control_, [this, pid, nonce = std::move(nonce)] { trust_.probe_seen(pid, nonce); });
}

void TrustKeeper::certificate_alert(pid_t pid, int alert) {
  asio::post(control_, [this, pid, alert] {
    trust_.certificate_alert(pid, alert);
    log::warning("trust", "pid {} refused our certificate (TLS alert {}): {}", pid, alert,
                 trust_.reason());
    changed_.cancel();
  });
}

}  // namespace hagring::agent
