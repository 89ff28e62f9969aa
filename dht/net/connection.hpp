// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "dht/net/tls.hpp"
#include "dht/net/yamux.hpp"
#include "userspace/base/connection_slots.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {

/// Cancels `group` until it is empty: a cancellation that falls between two operations of a task
/// ends neither.
awaitable<void> end_all(TaskGroup& group, Clock& clock);

/// One connection with a peer. Used from one thread.
class Connection {
 public:
  enum class Direction { outbound, inbound };
  /// Both ends, IPv4 as such.
  struct Ends {
    asio::ip::tcp::endpoint local;
    asio::ip::tcp::endpoint remote;
  };
  /// Serves one stream that the peer opened.
  using ServeStream = std::function<awaitable<void>(std::unique_ptr<ByteStream>)>;

  /// `slot`: the place that an inbound connection takes, given back when it closes.
  Connection(SecureConnection secure, Direction direction, Ends ends,
             std::optional<ConnectionSlots::Slot> slot, Clock& clock,
             asio::any_io_executor executor, YamuxOptions options);

  const PeerId& peer() const { return peer_; }
  const PublicKey& key() const { return key_; }
  Direction direction() const { return direction_; }
  const Ends& ends() const { return ends_; }
  bool healthy() const { return !closed_; }
  /// Streams open now, both ways.
  std::size_t streams() const { return session_.streams(); }
  /// When a stream was last opened or ended here; at first, when the connection was made.
  TimePoint last_used() const { return last_used_; }

  /// Serves streams and runs tasks until the connection ends, and returns why, after all of them
  /// have ended. Once.
  awaitable<error_code> run(ServeStream serve);
  /// Runs `task` until it ends or the connection does; before or within run().
  template <typename Function>
  void spawn(Function task) {
    tasks_.spawn(std::move(task));
  }
  /// Errors: NetErrc::session_closed, NetErrc::limit_reached.
  Result<std::unique_ptr<ByteStream>> open_stream();
  /// Whether the peer answers within `limit`. Meanwhile the connection is in doubt.
  awaitable<bool> answers(Duration limit);
  /// Whether that is being asked: another connection is to be preferred.
  bool in_doubt() const { return in_doubt_; }
  /// Ends it. run() returns soon.
  void close();

  /// What the peer was last told of us, as a message; empty: nothing yet.
  Bytes told;
  /// Whether the peer's identification has ended, and how.
  std::optional<Result<void>> identified;

 private:
  awaitable<void> accept_streams(ServeStream serve);

  PeerId peer_;
  PublicKey key_;
  Direction direction_;
  Ends ends_;
  std::optional<ConnectionSlots::Slot> slot_;
  Clock& clock_;
  std::size_t max_tasks_;
  YamuxSession session_;
  TaskGroup tasks_;
  TimePoint last_used_;
  bool closed_ = false;
  bool in_doubt_ = false;
};

}  // namespace hagring::dht
