// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "registry/peer_connections.hpp"
#include "userspace/base/data_threads.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::registry {

/// Serves this node's content to other nodes: `GET|HEAD /v2/<name>/{manifests,blobs}/<reference>`
/// with `?ns=<registry>`: to who passes the gate or, without one, to anybody over plain HTTP, as
/// Spegel's nodes ask each other. Connections are spread over the data threads. Constructed,
/// started and drained on the control thread.
class PeerServer {
 public:
  /// `store`, `clock` and `threads` must outlive the server. `on_served` is called on data threads.
  /// `make_gate` is called here, once for each data thread.
  PeerServer(asio::any_io_executor control, DataThreads& threads, ContentStore& store, Clock& clock,
             PeerServerOptions options, PeerResponder::OnServed on_served = {},
             const PeerGateMaker& make_gate = {});
  /// Must have been drained, if it was started.
  ~PeerServer();

  /// Takes the address; nothing runs yet. Throws StartError when it can't be had.
  void bind();
  /// Begins to accept, after bind() if that hasn't been called.
  void start();

  /// Where it listens; the port is the system's choice when the options' was 0.
  asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

  /// Stops accepting, ends idle connections at once and others when their request is answered or
  /// the drain limit has passed; returns when none is left.
  awaitable<void> drain();

  /// Ends connections without waiting for their requests; for a drain that takes too long.
  void cut();

  const PeerRequestCounters& requests() const { return responder_.counters(); }
  const PeerConnectionCounters& connections() const { return counters_; }
  std::size_t open_connections() const { return slots_.taken(); }

 private:
  awaitable<void> accept();
  std::optional<ConnectionSlots::Slot> take_slot(const asio::ip::tcp::socket& socket,
                                                 PeerConnections& worker);
  awaitable<void> drain_workers();

  asio::any_io_executor control_;
  DataThreads& threads_;
  Clock& clock_;
  const PeerServerOptions options_;
  PeerResponder responder_;
  ConnectionSlots slots_;
  PeerConnectionCounters counters_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::tcp::endpoint endpoint_;
  TaskGroup accepting_;
  bool cut_ = false;
  const bool gated_;
  std::vector<std::unique_ptr<PeerConnections>> workers_;  ///< one a data thread
};

}  // namespace hagring::registry
