// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/proxy/trust.hpp"

namespace hagring::agent {

/// Has the client's trust proven: makes the probes that proxy::Trust says are due, and brings it
/// what the data threads learn. Used on the control thread but for what is said otherwise.
class TrustKeeper {
 public:
  /// `clock` and `prober` outlive it.
  TrustKeeper(asio::any_io_executor control, Clock& clock, proxy::Prober& prober,
              proxy::TrustOptions options = {});

  /// Probes whenever it is due, until it is cancelled.
  awaitable<void> run();

  void client_appeared(pid_t pid, WallTime started);
  void client_gone(pid_t pid);
  void ca_installed(std::optional<WallTime> when) { trust_.ca_installed(when); }

  /// The probe of `nonce` was asked for by `pid` over a terminated connection. Any thread.
  void probe_seen(pid_t pid, std::string nonce);
  /// `pid` refused our certificate. Any thread.
  void certificate_alert(pid_t pid, int alert);
  /// Whether the client's connections may be terminated. Any thread.
  bool terminates() const noexcept { return trust_.terminates(); }

  const proxy::Trust& trust() const { return trust_; }

 private:
  asio::any_io_executor control_;
  Clock& clock_;
  proxy::Prober& prober_;
  proxy::Trust trust_;
  asio::steady_timer changed_;
};

}  // namespace hagring::agent
