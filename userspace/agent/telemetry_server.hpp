// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "userspace/agent/pages.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/connection_slots.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::agent {

/// The HTTP port for Prometheus and the kubelet's probes: pages without secrets, for whoever asks.
/// Runs on the control executor, so that an agent whose control thread hangs answers no probe.
class TelemetryServer {
 public:
  struct Options {
    asio::ip::tcp::endpoint listen{asio::ip::tcp::v6(), 9090};
    PortSharing sharing = PortSharing::refused;
    std::size_t max_connections = 64;
    std::size_t max_connections_per_address = 16;
    Duration longest = std::chrono::minutes(1);  ///< a connection's life
  };

  /// Binds and listens. Throws StartError: the address can't be had.
  TelemetryServer(asio::any_io_executor executor, Clock& clock, Options options, Pages pages);

  void start();
  awaitable<void> stop();
  asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

 private:
  awaitable<void> accept();
  awaitable<void> serve(asio::ip::tcp::socket socket, ConnectionSlots::Slot slot);

  Clock& clock_;
  const Options options_;
  const Pages pages_;
  ConnectionSlots slots_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::tcp::endpoint endpoint_;
  TaskGroup tasks_;
};

}  // namespace hagring::agent
