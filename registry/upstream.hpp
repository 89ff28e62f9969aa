// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "registry/peer_gate.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::registry {

/// A server that we ask: an origin, the host of a redirect, or a peer.
struct Upstream {
  std::string host;  ///< a name, or empty: only `preferred` is connected to
  std::uint16_t port = 443;
  bool tls = true;
  /// Tried first. Without one `host` is asked the way that the client would have taken, which may
  /// be an egress proxy.
  std::optional<asio::ip::tcp::endpoint> preferred;
  std::string identity{};  ///< who must answer, for the gate

  /// What connections to it are kept by.
  std::string key() const;
};

/// Idle connections, by server. Used from one thread.
class ConnectionPool {
 public:
  struct Options {
    /// Below what servers allow an idle connection (nginx: 75 s, Docker Hub's: more).
    Duration idle_limit = std::chrono::seconds(20);
    std::size_t per_server = 4;
    std::size_t total = 64;
  };

  ConnectionPool(Clock& clock, Options options) : clock_(clock), options_(options) {}

  /// A connection that was idle, the one used last; null if there is none.
  std::unique_ptr<http::Connection> take(const std::string& key);
  void give_back(std::string key, std::unique_ptr<http::Connection> connection);
  /// Closes those that have been idle for too long.
  void sweep();
  std::size_t size() const { return idle_.size(); }

 private:
  struct Idle {
    std::string key;
    TimePoint since;
    std::unique_ptr<http::Connection> connection;
  };
  Clock& clock_;
  const Options options_;
  std::list<Idle> idle_;  ///< the oldest first
};

/// A response whose body is still to be read. When it goes, its connection goes back to the pool if
/// it is fit for another request.
class Exchange {
 public:
  Exchange(ConnectionPool& pool, std::string key, std::unique_ptr<http::Connection> connection)
      : pool_(&pool), key_(std::move(key)), connection_(std::move(connection)) {}
  Exchange(Exchange&&) noexcept = default;
  Exchange& operator=(Exchange&& other) noexcept;
  ~Exchange() { release(); }

  http::Connection& connection() { return *connection_; }
  /// Empty until UpstreamClient has read it.
  http::Response response{};

 private:
  void release();

  ConnectionPool* pool_;
  std::string key_;
  std::unique_ptr<http::Connection> connection_;
};

/// Sends requests to servers over kept connections, one at a time on each (never pipelined). Used
/// from one thread; what it hands out must be gone before it.
class UpstreamClient {
 public:
  struct Options {
    Duration connect = std::chrono::seconds(10);   ///< TCP connection and TLS handshake together
    Duration response = std::chrono::seconds(20);  ///< from the request to the response's head
    Duration stall = std::chrono::seconds(30);     ///< without a byte of a body moving
    ConnectionPool::Options pool{};
  };

  /// How far a request has come.
  enum class Stage { connecting, handshake, asking };

  /// `tls` makes the handshakes of upstreams with TLS, whose chains it must verify; null if there
  /// are none. With a `gate` all others are peers, whose connections pass it first; who has no
  /// identity is refused (Errc::unavailable).
  UpstreamClient(Clock& clock, Dialer& dialer, SSL_CTX* tls, Options options,
                 PeerGate* gate = nullptr);

  /// Sends a request without a body and reads the response's head. A request of GET or HEAD that
  /// dies on a kept connection before the response's head is sent once more on a new one.
  /// `limit` replaces Options::response; `stage` is told how far it comes.
  /// Errors: Errc::timed_out, Errc::unavailable (TLS: the chain was refused), the dialer's, the
  /// gate's, Errc::bad_message.
  awaitable<Result<Exchange>> send(Upstream to, http::Request request,
                                   std::optional<Duration> limit = std::nullopt,
                                   Stage* stage = nullptr);

  /// Opens a new connection for a request that can't be sent twice; the caller does the rest.
  awaitable<Result<Exchange>> open(Upstream to, Stage* stage = nullptr);

  /// An exchange over a connection of the caller's own, whose answer's head has been read.
  Exchange exchange_over(std::unique_ptr<http::Connection> connection, http::Response response);

  void sweep() { pool_.sweep(); }
  std::size_t idle_connections() const { return pool_.size(); }

 private:
  std::optional<PlainProxy> proxy_of(const Upstream& to) const;
  awaitable<Result<std::unique_ptr<ByteStream>>> connect(Upstream to,
                                                         std::optional<PlainProxy> proxy,
                                                         Stage* stage);
  awaitable<Result<std::unique_ptr<ByteStream>>> shake_hands(std::unique_ptr<ByteStream> plain,
                                                             Upstream to);
  Result<void> check_identity(const Upstream& to);
  awaitable<Result<void>> ask(Exchange& exchange, const http::Request& request,
                              std::optional<Duration> limit);
  static awaitable<Result<void>> ask_and_wait(Exchange& exchange, const http::Request& request);

  Clock& clock_;
  Dialer& dialer_;
  SSL_CTX* tls_;
  const Options options_;
  PeerGate* gate_;
  bool told_of_nameless_ = false;
  ConnectionPool pool_;
};

}  // namespace hagring::registry
