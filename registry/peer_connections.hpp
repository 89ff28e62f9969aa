// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <memory>
#include <unordered_set>

#include "registry/peer_gate.hpp"
#include "registry/peer_responder.hpp"
#include "userspace/base/connection_slots.hpp"
#include "userspace/base/rare_log.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::herd {
class ChildServer;
}  // namespace hagring::herd

namespace hagring::registry {

/// Where and how other nodes' mirrors are served.
struct PeerServerOptions {
  /// All addresses, IPv4 too. Port 5000 is where Spegel's nodes ask each other.
  asio::ip::tcp::endpoint listen{asio::ip::tcp::v6(), 5000};
  PortSharing sharing = PortSharing::refused;
  /// At a time. A node pulls three layers at once, and a large cluster may pull the same image.
  std::size_t max_connections = 1024;
  std::size_t max_connections_per_address = 64;  ///< of IPv6, a /64 counts as one
  /// What a connection has to pass the gate, where there is one.
  Duration handshake_limit = std::chrono::seconds(5);
  /// From the end of one request to the end of the next one's head.
  Duration idle_limit = std::chrono::seconds(60);
  /// A connection on which no byte moves for so long, while one should, is ended.
  Duration inactivity_limit = std::chrono::seconds(30);
  /// What requests under way have to end once the server drains.
  Duration drain_limit = std::chrono::seconds(10);
  http::Limits http{.head_bytes = 16 * 1024, .buffer_bytes = 16 * 1024};
  PeerResponder::Options responder{};
  /// Serves members of the mesh what isn't whole yet; outlives the server. Null: nobody does.
  herd::ChildServer* children = nullptr;
};

/// How connections went, since the start. Written by all of the server's threads.
struct PeerConnectionCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};        ///< for want of a place
  std::atomic<std::uint64_t> accept_failed{0};  ///< by the system (EMFILE)
  std::atomic<std::uint64_t> turned_away{0};    ///< at the gate
};

/// One data thread's connections of the peer server: each passes the gate, if there is one, and is
/// served until it ends. Used on that thread only.
class PeerConnections {
 public:
  /// What all threads share; it outlives this.
  struct Shared {
    const PeerServerOptions& options;
    Clock& clock;
    PeerResponder& responder;
    PeerConnectionCounters& counters;
  };

  PeerConnections(asio::any_io_executor executor, Shared shared, std::unique_ptr<PeerGate> gate);

  /// Any thread may ask for it.
  asio::any_io_executor executor() const { return executor_; }

  /// Serves a connection, unless this drains.
  void begin(asio::ip::tcp::socket socket, ConnectionSlots::Slot slot);
  /// Ends the connection of the slot with this ID, if it is still at the gate.
  void displace(std::uint64_t slot);
  /// Ends connections without waiting for their requests.
  void cut();
  /// Ends connections that are idle or at the gate at once and others when their request is
  /// answered or `limit` has passed; returns when none is left.
  awaitable<void> drain(Duration limit);

 private:
  awaitable<void> serve(asio::ip::tcp::socket socket, ConnectionSlots::Slot slot);
  awaitable<Result<PeerGate::Admitted>> admit(std::unique_ptr<ByteStream> stream,
                                              ConnectionSlots::Slot& slot,
                                              const asio::ip::address& peer);
  /// `node`: who it is, empty where there is no gate.
  awaitable<Result<void>> serve_request(http::Connection& connection, asio::ip::address peer,
                                        const std::string& node);
  awaitable<void> end_at(TimePoint limit);
  void note_turned_away(const asio::ip::address& peer, const error_code& error);

  const asio::any_io_executor executor_;
  const Shared shared_;
  const std::unique_ptr<PeerGate> gate_;
  RareLog rare_log_;
  TaskGroup connections_;
  std::unordered_set<ByteStream*> idle_;         ///< those that wait for a request
  std::map<std::uint64_t, TaskGroup*> at_gate_;  ///< by slot
  bool draining_ = false;
  bool cut_ = false;
};

}  // namespace hagring::registry
