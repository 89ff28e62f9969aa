// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "userspace/base/byte_stream.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::dht {

/// What all sessions of a host hold together, and may hold. A session that holds no more than its
/// share of streams and bytes is never told that others hold too much, nor is a stream of our own.
struct YamuxBudget {
  std::size_t max_streams = 4096;                    ///< opened by peers; more are reset
  std::size_t max_buffered = std::size_t{64} << 20;  ///< received bytes that nobody has read
  /// Bytes that wait to be sent; above it each connection queues one frame at a time.
  std::size_t max_queued = std::size_t{64} << 20;
  std::size_t share_of_streams = 4;
  std::size_t share_of_buffered = std::size_t{64} * 1024;
  std::size_t streams = 0;
  std::size_t buffered = 0;
  std::size_t queued = 0;
  /// Told which limit bit a peer, for the log; not given: logged once a session.
  std::function<void(std::string_view)> tell = {};
};

struct YamuxOptions {
  /// Streams that the peer may have open at once; more are reset.
  std::size_t max_inbound_streams = 64;
  /// Streams that we may have open at once.
  std::size_t max_outbound_streams = 64;
  /// Received bytes of all streams that nobody has read yet; above it the stream is reset.
  std::size_t max_buffered = std::size_t{4} << 20;
  /// A ping is sent this often, and must be answered within the second (go-yamux, DefaultConfig).
  Duration keepalive_interval = std::chrono::seconds(30);
  Duration keepalive_timeout = std::chrono::seconds(10);
  /// Shared by the sessions that it is given to; none: the session has one of its own.
  std::shared_ptr<YamuxBudget> budget = {};
};

/// Many streams over one connection (hashicorp/yamux, spec.md; libp2p specs, yamux/README.md).
/// Used from one thread. Streams may outlive it and then fail with NetErrc::session_closed.
class YamuxSession {
 public:
  enum class Role { dialler, listener };

  /// Takes the connection; nothing moves until run(). `clock` must outlive run().
  YamuxSession(std::unique_ptr<ByteStream> below, Role role, Clock& clock,
               asio::any_io_executor executor, YamuxOptions options = {});
  /// Closes.
  ~YamuxSession();

  /// Moves frames until the connection ends, and returns why: Errc::end_of_stream,
  /// Errc::bad_message (the peer broke the protocol), NetErrc::keepalive_missed,
  /// NetErrc::limit_reached (a peer that makes us answer and doesn't read), Errc::cancelled, or the
  /// connection's. Call it once, as a task of the owner's group.
  awaitable<error_code> run();

  /// Opens a stream, without waiting for the peer. Closing or dropping it before both sides have
  /// finished resets it, unless shutdown_write has been called.
  /// Errors: NetErrc::session_closed, NetErrc::limit_reached.
  Result<std::unique_ptr<ByteStream>> open();

  /// Waits for a stream that the peer opens, and acknowledges it. One caller at a time.
  /// Errors: NetErrc::session_closed, Errc::cancelled.
  awaitable<Result<std::unique_ptr<ByteStream>>> accept();

  /// Returns when the peer has answered, for which a ping is sent at once. Without a deadline of
  /// its own. Errors: NetErrc::session_closed or why it ended, Errc::cancelled.
  awaitable<Result<void>> ping();

  /// Ends run() and all streams.
  void close();

  std::size_t streams() const;

 private:
  /// Shared with the streams and with run().
  std::shared_ptr<class YamuxState> state_;
};

}  // namespace hagring::dht
