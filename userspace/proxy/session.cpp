// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/session.hpp"

#include <boost/asio/buffer.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/proxy/one_session.hpp"
#include "userspace/proxy/session_stream.hpp"

namespace hagring::proxy {
namespace {

using tcp = asio::ip::tcp;

/// A client that leaves before has changed its mind; after it, the server is slow.
constexpr Duration kSuspiciousWait = std::chrono::seconds(1);

/// The whole of linger_close, whose own limit a client could stretch byte by byte.
awaitable<Result<void>> linger(std::shared_ptr<ByteStream> stream, Duration limit,
                               std::size_t max_bytes) {
  co_await linger_close(*stream, limit, max_bytes);
  co_return Result<void>();
}

std::string describe(const tcp::endpoint& endpoint) {
  return endpoint.address().to_string() + " port " + std::to_string(endpoint.port());
}

}  // namespace

Sessions::Sessions(Clock& clock, Dialer& dialer, Splicer& splicer, SessionCounters& counters,
                   SessionHooks hooks, SessionOptions options)
    : clock_(clock),
      dialer_(dialer),
      splicer_(splicer),
      counters_(counters),
      hooks_(std::move(hooks)),
      options_(options) {}

awaitable<void> Sessions::serve(tcp::socket client) {
  // Cancellation comes as errors from here on.
  co_await asio::this_coro::throw_if_cancelled(false);
  Session session(*this, std::move(client));
  co_await session.run();
}

awaitable<void> Sessions::Session::run() {
  auto original = hooks_.original(client_.native_handle());
  if (!original) {
    ++count().lost;
    log::debug("session", "closed a connection that the hook has no record of: {}",
               original.error().message());
    co_return;
  }
  original_ = *original;
  if (const auto host = hooks_.proxy_at(original_.endpoint)) {
    asks_proxy_ = true;
    proxy_host_ = *host;
  }
  const Opening opening = co_await read_opening();
  if (opening == Opening::left || co_await asked_to_stop()) {
    ++count().left_early;
    co_return;
  }
  co_await serve(opening);
}

awaitable<void> Sessions::Session::serve(Opening opening) {
  switch (opening) {
    case Opening::tls:
      co_return co_await serve_tls();
    case Opening::http:
      co_return co_await serve_http();
    case Opening::tunnel:
      co_return co_await serve_tunnel();
    case Opening::proxied_http:
      co_return co_await serve_proxied_http();
    case Opening::silent:
      co_return co_await splice(SpliceReason::client_silent);
    case Opening::late:
      co_return co_await splice(SpliceReason::hello_late);
    case Opening::malformed:
      co_return co_await splice(SpliceReason::hello_malformed);
    case Opening::other:
    case Opening::left:
      co_return co_await splice(SpliceReason::not_tls);
  }
}

awaitable<Sessions::Session::Opening> Sessions::Session::read_opening() {
  const auto end = owner_.clock_.now() + options_.hello_limit;
  Duration limit = options_.first_bytes_limit;
  while (true) {
    auto size = co_await with_deadline(owner_.clock_, limit, read_more());
    if (!size && size.error() == Errc::timed_out) {
      co_return said().empty() ? Opening::silent : Opening::late;
    }
    if (!size) co_return Opening::left;
    if (const auto opening = recognize()) co_return *opening;
    limit = end - owner_.clock_.now();
    if (limit <= Duration::zero()) co_return Opening::late;
    if (co_await asked_to_stop()) co_return Opening::left;
  }
}

/// Nothing when more bytes are needed to tell.
std::optional<Sessions::Session::Opening> Sessions::Session::recognize() {
  if (asks_proxy_) return recognize_request();
  switch (opening_.progress()) {
    case HelloProgress::need_more:
      return std::nullopt;
    case HelloProgress::hello:
      return Opening::tls;
    case HelloProgress::malformed:
      return Opening::malformed;
    case HelloProgress::not_tls:
      break;
  }
  if (in_tunnel_ || !hooks_.is_plain_registry(original_)) return Opening::other;
  switch (http_request_prefix(opening_.bytes())) {
    case Prefix::maybe:
      return std::nullopt;
    case Prefix::yes:
      return Opening::http;
    case Prefix::no:
      break;
  }
  return Opening::other;
}

awaitable<Result<std::size_t>> Sessions::Session::read_more() {
  std::array<std::uint8_t, 4096> buffer;
  auto [error, size] = co_await client_.async_read_some(asio::buffer(buffer), kTuple);
  if (error) co_return error;
  const auto bytes = ByteView(buffer).first(size);
  if (asks_proxy_) {
    asked_.feed(bytes);
  } else {
    opening_.feed(bytes);
  }
  co_return size;
}

awaitable<void> Sessions::Session::serve_tls() {
  const ClientHello& hello = opening_.hello();
  if (hello.server_name.empty()) {
    if (original_.endpoint != options_.probe)
      co_return co_await splice(SpliceReason::no_server_name);
    co_return co_await terminate(options_.probe.address().to_string(), true);
  }
  if (!hello.can_be_terminated() || hello.has_encrypted_client_hello) {
    co_return co_await splice(SpliceReason::hello_unsupported);
  }
  const auto decision = co_await decide_in_time(hello.server_name);
  if (!decision.terminate) co_return co_await splice(decision.reason);
  co_await terminate(hello.server_name, false);
}

awaitable<Decision> Sessions::Session::decide_in_time(std::string name) {
  const auto end = owner_.clock_.now() + options_.decision_limit;
  const auto decision =
      co_await with_deadline(owner_.clock_, options_.decision_limit, decide(std::move(name)));
  // A decision that came after its cancellation may have been cut short.
  if (!decision || owner_.clock_.now() >= end) co_return Decision{false, SpliceReason::undecided};
  co_return *decision;
}

awaitable<Result<Decision>> Sessions::Session::decide(std::string name) {
  co_return co_await hooks_.may_terminate(std::move(name), original_);
}

awaitable<void> Sessions::Session::terminate(std::string name, bool probe) {
  SslHandle ssl = hooks_.make_server_ssl(name);
  if (!ssl) {
    log::warning("session", "no certificate could be made for {}: connections to it are spliced",
                 name);
    co_return co_await splice(SpliceReason::no_leaf);
  }
  // Shared with the stream that the handler gets: see SessionStream.
  auto tls = std::make_shared<TlsStream>(
      ssl.release(), std::make_unique<SocketStream>(std::move(client_)), opening_.bytes());
  if (auto done = co_await with_deadline(owner_.clock_, options_.handshake_limit, tls->handshake());
      !done) {
    report_failure(*tls, done.error(), name, probe);
    co_return co_await end_politely(tls);
  }
  ++(probe ? count().probes_passed : count().terminated);
  if (probe) hooks_.probed(original_, true, "the handshake came through");
  co_await hand_over(tls,
                     {.stream = nullptr,
                      .host = name,
                      .port = original_.port(),
                      .original = original_.endpoint,
                      .proxied = in_tunnel_,
                      .tls = true,
                      .probe = probe,
                      .client_pid = original_.client_pid},
                     {});
  // A client may finish its handshake and refuse the certificate only then.
  if (is_certificate_alert(tls->failure().alert)) {
    hooks_.refused(original_, name, tls->failure().alert);
  }
}

void Sessions::Session::report_failure(const TlsStream& tls, error_code error,
                                       const std::string& name, bool probe) {
  const auto& failure = tls.failure();
  const std::string why = failure.text.empty() ? error.message() : failure.text;
  log::debug("session", "TLS with client {} for {} failed: {} (alert {})", original_.client_pid,
             name, why, failure.alert);
  // Counted when reported.
  if (probe) {
    hooks_.probed(original_, false, why);
    ++count().probes_failed;
  } else if (is_certificate_alert(failure.alert)) {
    hooks_.refused(original_, name, failure.alert);
    ++count().refused;
  } else {
    ++count().handshake_failed;
  }
}

awaitable<void> Sessions::Session::serve_http() {
  ++count().plain;
  const ByteView first = opening_.bytes();
  co_await hand_over(std::make_shared<SocketStream>(std::move(client_)),
                     {.stream = nullptr,
                      .host = {},
                      .port = original_.endpoint.port(),
                      .original = original_.endpoint,
                      .tls = false,
                      .probe = false,
                      .client_pid = original_.client_pid},
                     Bytes(first.begin(), first.end()));
}

awaitable<void> Sessions::Session::hand_over(std::shared_ptr<ByteStream> stream,
                                             Intercepted connection, Bytes read_ahead) {
  connection.stream = std::make_unique<SessionStream>(stream, std::move(read_ahead));
  co_await hooks_.handle(std::move(connection));
  co_await end_politely(std::move(stream));
}

awaitable<void> Sessions::Session::end_politely(std::shared_ptr<ByteStream> stream) {
  const bool stopping = co_await asked_to_stop();
  const auto limit = stopping ? options_.linger_limit_at_stop : options_.linger_limit;
  co_await with_deadline(owner_.clock_, 2 * limit, linger(stream, limit, options_.linger_bytes));
  stream->close();
}

awaitable<void> Sessions::Session::splice(SpliceReason reason) {
  ++count().spliced[static_cast<std::size_t>(reason)];
  auto origin = proxy_host_.empty() ? co_await dial_original() : co_await dial_proxy();
  if (!origin) {
    ++count().dial_failed;
    log::debug("session", "{} ({}) can't be reached for client {}: {}",
               describe(original_.endpoint), opening_.hello().server_name, original_.client_pid,
               origin.error().message());
    if (!is_cancelled(origin.error())) tell(RelayNews::unreachable, origin.error().message());
    reset(client_);
    co_return;
  }
  const ByteView first = said();
  const auto begun = owner_.clock_.now();
  SpliceWatch watch{.answered = [this] { tell(RelayNews::answered, ""); },
                    .silent = [this] { tell(RelayNews::silent, "it says nothing"); }};
  const auto result = co_await owner_.splicer_.relay(
      std::move(client_), *std::move(origin), Bytes(first.begin(), first.end()), std::move(watch));
  const bool waited = owner_.clock_.now() - begun >= kSuspiciousWait;
  const bool reset_at_once = result.error == asio::error::connection_reset;
  if (result.to_client == 0 && (waited || reset_at_once)) {
    tell(RelayNews::silent, "the connection ended without a byte from it");
  }
  count().bytes_to_origin += result.to_origin;
  count().bytes_to_client += result.to_client;
}

/// What an egress proxy does says nothing of the server behind it.
void Sessions::Session::tell(RelayNews news, const std::string& why) {
  const auto& name = opening_.hello().server_name;
  if (!hooks_.relayed || !proxy_host_.empty() || !is_host_name(name)) return;
  hooks_.relayed(original_, name, news, why);
}

awaitable<Result<tcp::socket>> Sessions::Session::dial_original() {
  const auto& name = opening_.hello().server_name;
  co_return co_await owner_.dialer_.dial(
      {original_.endpoint, is_host_name(name) ? name : "", original_.endpoint.port()});
}

}  // namespace hagring::proxy
