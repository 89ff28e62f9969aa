// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::proxy {

/// The listeners on loopback that the hook redirects to, one a family, and their accept loops.
///
/// Accepting runs on one executor; each connection then lives on one of the data
/// executors, in turn. When we can't take more (at `max_connections`, or out of descriptors)
/// has_room() is false, on which the heartbeat stops and the hook leaves new connections alone;
/// those that come all the same are served, up to twice the limit, and beyond that reset at once
/// rather than left to time out.
class Listener {
 public:
  struct Options {
    /// Zero: any. A port within Kubernetes' NodePort range is refused: Cilium would take a
    /// connection to it for one to a service (sock4_wildcard_lookup in its bpf_sock.c).
    std::uint16_t port_v4 = 0;
    std::uint16_t port_v6 = 0;
    std::size_t max_connections = 4096;
    /// After an accept that failed for want of descriptors or memory.
    Duration pause = std::chrono::milliseconds(100);
    /// Called when the last place has been taken, on the accept executor: what is led here from now
    /// on until the heart stops to beat would be too much. Must not throw.
    std::function<void()> full{};
  };
  struct Counters {
    std::atomic<std::uint64_t> accepted = 0;
    std::atomic<std::uint64_t> turned_away = 0;    ///< reset because of too many connections
    std::atomic<std::uint64_t> accept_failed = 0;  ///< EMFILE and the like
  };
  /// Serves one connection on data executor number `thread`, which is the socket's. Called on that
  /// thread. Cancelled by drain().
  using Serve = std::function<awaitable<void>(asio::ip::tcp::socket, std::size_t thread)>;

  /// Binds and listens; connections are taken from start() on. Throws StartError when 127.0.0.1
  /// can't be listened on; without ::1 there is no v6 listener, which is logged.
  /// The executors' contexts outlive the listener.
  Listener(asio::any_io_executor accept, std::vector<asio::any_io_executor> data, Options options,
           Serve serve);
  /// Drained, if it was started.
  ~Listener();

  void start();

  /// Stops accepting, cancels the connections and returns when all have ended. On the accept
  /// executor, once. Join the data threads before the accept executor's context goes: the
  /// coroutine that told it that a thread is done may still be leaving that thread.
  awaitable<void> drain();

  /// For the redirector, which puts its token on them; -1: there is none.
  int fd_v4() const;
  int fd_v6() const;
  asio::ip::tcp::endpoint endpoint_v4() const { return endpoint_v4_; }
  /// Port 0: there is none.
  asio::ip::tcp::endpoint endpoint_v6() const { return endpoint_v6_; }
  /// Whether `endpoint` is one of ours, in whatever form it is written: dialling it is a loop.
  bool is_own(const asio::ip::tcp::endpoint& endpoint) const;

  /// Any thread.
  bool has_room() const;
  std::size_t connections() const { return connections_; }
  const Counters& counters() const { return counters_; }

 private:
  using Acceptor = asio::ip::tcp::acceptor;

  awaitable<void> accept_from(Acceptor& acceptor);
  awaitable<void> recover(error_code error);
  void hand_over(asio::ip::tcp::socket socket, std::size_t index);

  asio::any_io_executor accept_;
  std::vector<asio::any_io_executor> data_;
  Options options_;
  Serve serve_;
  std::unique_ptr<Acceptor> v4_, v6_;
  asio::ip::tcp::endpoint endpoint_v4_, endpoint_v6_;
  TaskGroup accepting_;
  /// One for each data executor, used on its thread only.
  std::vector<std::unique_ptr<TaskGroup>> serving_;
  bool stopping_ = false;
  TimePoint complained_{};
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<TimePoint::rep> no_room_until_ = 0;
  Counters counters_;
};

}  // namespace hagring::proxy
