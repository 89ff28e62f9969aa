// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/telemetry_server.hpp"

#include <fmt/core.h>

#include "userspace/agent/setting_value.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tcp_listen.hpp"

namespace hagring::agent {
namespace {

/// How long accepting rests when the system can't give a connection.
constexpr auto kAcceptRest = std::chrono::milliseconds(200);

}  // namespace

TelemetryServer::TelemetryServer(asio::any_io_executor executor, Clock& clock, Options options,
                                 Pages pages)
    : clock_(clock),
      options_(std::move(options)),
      pages_(std::move(pages)),
      slots_(options_.max_connections, options_.max_connections_per_address),
      acceptor_(executor),
      tasks_(executor, "telemetry") {
  if (const auto error = listen(acceptor_, options_.listen, options_.sharing)) {
    throw StartError(
        fmt::format("--metrics-listen {}: {}. Another program may have the port (see `ss -ltnp`): "
                    "choose another one, or `off`",
                    write_endpoint(options_.listen), error.message()));
  }
  error_code ignored;
  endpoint_ = acceptor_.local_endpoint(ignored);
}

void TelemetryServer::start() {
  tasks_.spawn([this] { return accept(); });
}

awaitable<void> TelemetryServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<void> TelemetryServer::accept() {
  while (acceptor_.is_open()) {
    auto [error, socket] = co_await acceptor_.async_accept(kTuple);
    if (is_cancelled(error) || !acceptor_.is_open()) co_return;
    if (error) {
      log::warning("telemetry", "a connection can't be accepted: {}", error.message());
      co_await clock_.sleep_for(kAcceptRest);
      continue;
    }
    error_code gone;
    const auto from = socket.remote_endpoint(gone).address();
    auto slot = gone ? std::nullopt : slots_.take(from);
    if (!slot) continue;
    // One owner: the task, whose start must be copyable.
    auto shared = std::make_shared<std::pair<asio::ip::tcp::socket, ConnectionSlots::Slot>>(
        std::move(socket), *std::move(slot));
    tasks_.spawn(
        [this, shared] { return serve(std::move(shared->first), std::move(shared->second)); });
  }
}

awaitable<void> TelemetryServer::serve(asio::ip::tcp::socket socket, ConnectionSlots::Slot slot) {
  const auto serve_all = [](std::unique_ptr<ByteStream> stream,
                            const Pages& pages) -> awaitable<Result<void>> {
    co_await serve_pages(std::move(stream), pages);
    co_return Result<void>();
  };
  (void)co_await with_deadline(
      clock_, options_.longest,
      serve_all(std::make_unique<SocketStream>(std::move(socket)), pages_));
  (void)slot;
}

}  // namespace hagring::agent
