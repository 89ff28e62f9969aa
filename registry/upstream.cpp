// SPDX-License-Identifier: Apache-2.0
#include "registry/upstream.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::registry {

namespace {

std::string address_of(const Upstream& upstream) {
  const auto& address = upstream.preferred;
  return address ? fmt::format("{}:{}", address->address().to_string(), address->port()) : "";
}

}  // namespace

std::string Upstream::key() const {
  return fmt::format("{}://{}:{}@{}/{}", tls ? "https" : "http", host, port, address_of(*this),
                     identity);
}

std::unique_ptr<http::Connection> ConnectionPool::take(const std::string& key) {
  sweep();
  const auto found =
      std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle& idle) { return idle.key == key; });
  if (found == idle_.rend()) return nullptr;
  auto connection = std::move(found->connection);
  idle_.erase(std::next(found).base());
  return connection;
}

void ConnectionPool::give_back(std::string key, std::unique_ptr<http::Connection> connection) {
  sweep();
  const auto same = [&](const Idle& idle) { return idle.key == key; };
  if (static_cast<std::size_t>(std::ranges::count_if(idle_, same)) >= options_.per_server) {
    idle_.erase(std::ranges::find_if(idle_, same));
  }
  if (idle_.size() >= options_.total) idle_.pop_front();
  idle_.push_back({std::move(key), clock_.now(), std::move(connection)});
}

void ConnectionPool::sweep() {
  const auto limit = clock_.now() - options_.idle_limit;
  while (!idle_.empty() && idle_.front().since <= limit) idle_.pop_front();
}

Exchange& Exchange::operator=(Exchange&& other) noexcept {
  if (this == &other) return *this;
  release();
  response = std::move(other.response);
  pool_ = other.pool_;
  key_ = std::move(other.key_);
  connection_ = std::move(other.connection_);
  return *this;
}

void Exchange::release() {
  if (!connection_) return;
  auto connection = std::move(connection_);
  if (connection->body_ended() && connection->reusable()) {
    pool_->give_back(std::move(key_), std::move(connection));
  }
}

UpstreamClient::UpstreamClient(Clock& clock, Dialer& dialer, SSL_CTX* tls, Options options,
                               PeerGate* gate)
    : clock_(clock),
      dialer_(dialer),
      tls_(tls),
      options_(options),
      gate_(gate),
      pool_(clock, options.pool) {}

awaitable<Result<Exchange>> UpstreamClient::send(Upstream to, http::Request request,
                                                 std::optional<Duration> limit, Stage* stage) {
  Stage untold{};
  if (stage == nullptr) stage = &untold;
  const bool repeatable = request.method == "GET" || request.method == "HEAD";
  if (auto kept = repeatable ? pool_.take(to.key()) : nullptr) {
    *stage = Stage::asking;
    Exchange exchange(pool_, to.key(), std::move(kept));
    auto asked = co_await ask(exchange, request, limit);
    if (asked) co_return std::move(exchange);
    // A kept connection may have been closed by the server just now: that says nothing of it.
    if (asked.error() == Errc::timed_out || is_cancelled(asked.error())) co_return asked.error();
  }
  CO_TRY(auto exchange, co_await open(to, stage));
  CO_CHECK(co_await ask(exchange, request, limit));
  co_return std::move(exchange);
}

awaitable<Result<Exchange>> UpstreamClient::open(Upstream to, Stage* stage) {
  Stage untold{};
  if (stage == nullptr) stage = &untold;
  *stage = Stage::connecting;
  const auto proxy = proxy_of(to);
  CO_TRY(auto stream, co_await with_deadline(clock_, options_.connect, connect(to, proxy, stage)));
  *stage = Stage::asking;
  stream->set_inactivity_limit(options_.stall);
  auto connection = std::make_unique<http::Connection>(std::move(stream));
  if (proxy) connection->ask_proxy(to.host, to.port, proxy->authorization);
  co_return Exchange(pool_, to.key(), std::move(connection));
}

/// Peers have none.
std::optional<PlainProxy> UpstreamClient::proxy_of(const Upstream& to) const {
  if (to.tls || gate_) return std::nullopt;
  return dialer_.plain_proxy({to.preferred, to.host, to.port});
}

Exchange UpstreamClient::exchange_over(std::unique_ptr<http::Connection> connection,
                                       http::Response response) {
  Exchange exchange(pool_, "", std::move(connection));
  exchange.response = std::move(response);
  return exchange;
}

awaitable<Result<void>> UpstreamClient::ask(Exchange& exchange, const http::Request& request,
                                            std::optional<Duration> limit) {
  auto& stream = exchange.connection().stream();
  const auto patience = limit.value_or(options_.response);
  // A server may think for longer before it answers than it may be silent in the middle of it.
  stream.set_inactivity_limit(std::max(patience, options_.stall));
  CO_CHECK(co_await with_deadline(clock_, patience, ask_and_wait(exchange, request)));
  stream.set_inactivity_limit(options_.stall);
  co_return Result<void>();
}

awaitable<Result<void>> UpstreamClient::ask_and_wait(Exchange& exchange,
                                                     const http::Request& request) {
  auto& connection = exchange.connection();
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(exchange.response, co_await connection.read_response(request.method));
  co_return Result<void>();
}

awaitable<Result<std::unique_ptr<ByteStream>>> UpstreamClient::connect(
    Upstream to, std::optional<PlainProxy> proxy, Stage* stage) {
  CO_CHECK(check_identity(to));
  Destination destination{to.preferred, to.host, to.port, to.tls};
  if (proxy) destination = {.preferred = {}, .host = proxy->host, .port = proxy->port};
  CO_TRY(auto socket, co_await dialer_.dial(std::move(destination)));
  *stage = Stage::handshake;
  std::unique_ptr<ByteStream> plain = std::make_unique<SocketStream>(std::move(socket));
  if (to.tls) co_return co_await shake_hands(std::move(plain), std::move(to));
  if (gate_) co_return co_await gate_->enter(std::move(plain), std::move(to.identity));
  co_return std::move(plain);
}

Result<void> UpstreamClient::check_identity(const Upstream& to) {
  if (!gate_ || to.tls || !to.identity.empty()) return {};
  if (!std::exchange(told_of_nameless_, true)) {
    log::warning("upstream",
                 "the peer {} is not asked: its identity isn't known, so anybody could answer for "
                 "it; name peers with theirs, or let the DHT find them",
                 address_of(to));
  }
  return Errc::unavailable;
}

awaitable<Result<std::unique_ptr<ByteStream>>> UpstreamClient::shake_hands(
    std::unique_ptr<ByteStream> plain, Upstream to) {
  if (tls_ == nullptr) co_return Errc::unsupported;
  auto ssl = make_client_ssl(tls_, to.host);
  auto stream = std::make_unique<TlsStream>(ssl.release(), std::move(plain));
  const auto shaken = co_await stream->handshake();
  if (!shaken && shaken.error() == Errc::bad_message) {
    log::info("upstream", "TLS with {}:{} failed: {}", to.host, to.port, stream->failure().text);
    co_return Errc::unavailable;
  }
  if (!shaken) co_return shaken.error();
  co_return std::move(stream);
}

}  // namespace hagring::registry
