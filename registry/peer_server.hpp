// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "registry/peer_responder.hpp"
#include "userspace/base/connection_slots.hpp"
#include "userspace/base/data_threads.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::registry {

/// Where and how other nodes' mirrors are served.
struct PeerServerOptions {
  /// All addresses, IPv4 too. Port 5000 is where Spegel's nodes ask each other.
  asio::ip::tcp::endpoint listen{asio::ip::tcp::v6(), 5000};
  /// At a time. A node pulls three layers at once, and a large cluster may pull the same image.
  std::size_t max_connections = 1024;
  std::size_t max_connections_per_address = 64;
  /// From the end of one request to the end of the next one's head.
  Duration idle_limit = std::chrono::seconds(60);
  /// A connection on which no byte moves for so long, while one should, is ended.
  Duration inactivity_limit = std::chrono::seconds(30);
  /// What requests under way have to end once the server drains.
  Duration drain_limit = std::chrono::seconds(10);
  http::Limits http{.head_bytes = 16 * 1024, .buffer_bytes = 16 * 1024};
  PeerResponder::Options responder{};
};

/// Serves this node's content to other nodes: `GET|HEAD /v2/<name>/{manifests,blobs}/<reference>`
/// with `?ns=<registry>`, over plain HTTP, as Spegel's nodes ask each other. Connections are spread
/// over the data threads. Constructed, started and drained on the control thread.
class PeerServer {
 public:
  /// How connections went, since the start.
  struct ConnectionCounters {
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> refused{0};        ///< for want of a place
    std::atomic<std::uint64_t> accept_failed{0};  ///< by the system (EMFILE)
  };

  /// `store`, `clock` and `threads` must outlive the server. `on_served` is called on data threads.
  PeerServer(asio::any_io_executor control, DataThreads& threads, ContentStore& store, Clock& clock,
             PeerServerOptions options, PeerResponder::OnServed on_served = {});
  /// Must have been drained, if it was started.
  ~PeerServer();

  /// Binds and begins to accept. Throws StartError when the address can't be had.
  void start();

  /// Where it listens; the port is the system's choice when the options' was 0.
  asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

  /// Stops accepting, ends idle connections at once and others when their request is answered or
  /// the drain limit has passed; returns when none is left.
  awaitable<void> drain();

  /// Ends connections without waiting for their requests; for a drain that takes too long.
  void cut();

  const PeerRequestCounters& requests() const { return responder_.counters(); }
  const ConnectionCounters& connections() const { return counters_; }
  std::size_t open_connections() const { return slots_.taken(); }

 private:
  struct Worker;

  awaitable<void> accept();
  awaitable<void> drain_workers();

  asio::any_io_executor control_;
  DataThreads& threads_;
  Clock& clock_;
  const PeerServerOptions options_;
  PeerResponder responder_;
  ConnectionSlots slots_;
  ConnectionCounters counters_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::tcp::endpoint endpoint_;
  TaskGroup accepting_;
  bool cut_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;  ///< one a data thread
};

}  // namespace hagring::registry
