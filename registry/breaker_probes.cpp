// SPDX-License-Identifier: Apache-2.0
#include "registry/breaker_probes.hpp"

#include <fmt/core.h>

#include <boost/asio/post.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_stream.hpp"
#include "userspace/base/version.hpp"
#include "userspace/http/connection.hpp"
#include "userspace/http/url.hpp"

namespace hagring::registry {
namespace {

awaitable<Result<unsigned>> exchange(http::Connection& connection, http::Url url) {
  const http::Request request{.target = url.target,
                              .headers = {{"Host", url.authority()},
                                          {"User-Agent", fmt::format("hagring/{}", kVersion)},
                                          {"Connection", "close"}}};
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(const auto response, co_await connection.read_response(request.method));
  co_return response.status;
}

}  // namespace

BreakerProbes::BreakerProbes(asio::any_io_executor executor, Clock& clock, Dialer& dialer,
                             SSL_CTX* tls, Breaker& breaker, Options options)
    : executor_(executor),
      clock_(clock),
      dialer_(dialer),
      tls_(tls),
      breaker_(breaker),
      options_(options),
      random_(options.seed),
      tasks_(executor, "breaker probes") {
  breaker_.on_probe([this](OriginServer server) {
    asio::post(executor_,
               [this, server = std::move(server)]() mutable { start(std::move(server)); });
  });
}

awaitable<void> BreakerProbes::stop() {
  stopped_ = true;
  tasks_.cancel();
  co_await tasks_.drain();
}

void BreakerProbes::start(OriginServer server) {
  if (stopped_) return;
  if (tasks_.size() >= options_.servers) return breaker_.not_probed(server);
  tasks_.spawn([this, server = std::move(server)] { return keep_probing(server); });
}

awaitable<void> BreakerProbes::keep_probing(OriginServer server) {
  std::uniform_real_distribution<double> jitter(0, 1);
  while (!co_await asked_to_stop()) {
    const auto next = breaker_.next_probe(server, jitter(random_));
    if (!next) co_return;
    co_await clock_.sleep_until(next->when);
    if (co_await asked_to_stop()) co_return;
    const auto found = co_await probe(server, next->preferred);
    // What was cut short says nothing of the server.
    if (co_await asked_to_stop()) co_return;
    log::debug("origin", "probe of {}: {}", server.to_string(), found.reason);
    breaker_.probed(server, found.finding, found.reason);
  }
}

awaitable<BreakerProbes::Found> BreakerProbes::probe(
    OriginServer server, std::optional<asio::ip::tcp::endpoint> preferred) {
  Destination to{preferred, server.host, server.port};
  const auto proxy = server.tls ? std::nullopt : dialer_.plain_proxy(to);
  if (proxy) to = {.preferred = {}, .host = proxy->host, .port = proxy->port};
  error_code not_an_address;
  const auto address = asio::ip::make_address(to.host, not_an_address);
  if (!not_an_address && !to.preferred && !proxy) to.preferred = {address, server.port};
  if (!not_an_address && !proxy) to.host.clear();
  auto stream =
      co_await with_deadline(clock_, options_.connect, connect(std::move(to), server.tls));
  if (!stream) co_return Found{ProbeFinding::dead, stream.error().message()};
  http::Connection connection(*std::move(stream));
  if (proxy) connection.ask_proxy(server.host, server.port, proxy->authorization);
  const http::Url url{.scheme = server.tls ? "https" : "http",
                      .host = server.host,
                      .port = server.port,
                      .target = "/v2/"};
  const auto status = co_await with_deadline(clock_, options_.answer, exchange(connection, url));
  if (status) {
    co_return Found{*status >= 500 ? ProbeFinding::troubled : ProbeFinding::answered,
                    fmt::format("it answers {}", *status)};
  }
  const bool mute = status.error() == Errc::timed_out;
  co_return Found{mute ? ProbeFinding::mute : ProbeFinding::reached, status.error().message()};
}

awaitable<Result<std::unique_ptr<ByteStream>>> BreakerProbes::connect(Destination destination,
                                                                      bool tls) {
  auto host = destination.host;
  if (host.empty() && destination.preferred) {
    host = destination.preferred->address().to_string();
  }
  destination.tls = tls;
  CO_TRY(auto socket, co_await dialer_.dial(std::move(destination)));
  std::unique_ptr<ByteStream> stream = std::make_unique<SocketStream>(std::move(socket));
  if (!tls) co_return std::move(stream);
  if (tls_ == nullptr) co_return Errc::unsupported;
  auto ssl = make_client_ssl(tls_, host);
  SSL_set_verify(ssl.get(), SSL_VERIFY_NONE, nullptr);
  auto secure = std::make_unique<TlsStream>(ssl.release(), std::move(stream));
  const auto shaken = co_await secure->handshake();
  // An alert, or anything else that isn't the handshake wanted, is a sign of life too; reading
  // from the stream then tells the rest.
  if (!shaken && shaken.error() != Errc::bad_message) co_return shaken.error();
  co_return std::move(secure);
}

}  // namespace hagring::registry
