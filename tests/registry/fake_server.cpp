// SPDX-License-Identifier: Apache-2.0
#include "tests/registry/fake_server.hpp"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>

#include "registry/range.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/base/tls_stream.hpp"

namespace hagring::test {

FakeServer::FakeServer(asio::io_context& context, SSL_CTX* tls)
    : tls_(tls),
      acceptor_(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      tasks_(context.get_executor(), "fake server") {
  tasks_.spawn([this] { return accept(); });
}

FakeServer::~FakeServer() = default;

awaitable<void> FakeServer::drain() {
  acceptor_.close();
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<void> FakeServer::accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(kTuple);
    if (error) co_return;
    ++connections;
    set_connection_options(socket);
    tasks_.spawn([this, held = std::make_shared<asio::ip::tcp::socket>(std::move(socket))] {
      return serve(std::move(*held));
    });
  }
}

awaitable<void> FakeServer::serve(asio::ip::tcp::socket socket) {
  std::unique_ptr<ByteStream> stream = std::make_unique<SocketStream>(std::move(socket));
  if (tls_ != nullptr) {
    auto secure = std::make_unique<TlsStream>(make_server_ssl(tls_).release(), std::move(stream));
    if (!co_await secure->handshake()) co_return;
    stream = std::move(secure);
  }
  http::Connection connection(std::move(stream));
  while (true) {
    auto request = co_await connection.read_request();
    if (!request) co_return;
    requests.push_back(*request);
    if (!co_await handler(connection, *std::move(request))) break;
    if (!co_await connection.skip_body(1 << 20) || !connection.reusable()) break;
  }
  (void)co_await connection.stream().shutdown_write();
}

int FakeServer::count(std::string_view method, std::string_view part) const {
  return static_cast<int>(std::ranges::count_if(requests, [&](const http::Request& request) {
    return request.method == method && request.target.find(part) != std::string::npos;
  }));
}

FakeRegistry::FakeRegistry(asio::io_context& context, Clock& clock, SSL_CTX* tls)
    : server(context, tls), clock_(clock) {
  server.handler = [this](http::Connection& connection, http::Request request) {
    return answer(connection, std::move(request));
  };
}

registry::Digest FakeRegistry::add(std::string content) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes(content));
  const auto digest = registry::Digest::of(HashAlgorithm::sha256, hasher);
  contents[digest.to_string()] = std::move(content);
  return digest;
}

awaitable<bool> FakeRegistry::answer(http::Connection& connection, http::Request request) {
  auto now = behaviour;
  if (!turns.empty()) {
    now = std::move(turns.front());
    turns.pop_front();
  }
  if (now.status) {
    http::Response response{.status = *now.status, .headers = now.headers};
    if (!now.location.empty()) response.headers.add("Location", now.location);
    co_return (co_await connection.write_response_with(response, "refused")).has_value();
  }
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path.starts_with("/v2/")) {
    if (const auto tag = tags.find(path.substr(4)); tag != tags.end()) {
      co_return co_await send(connection, request, now, tag->second.to_string());
    }
  }
  const auto digest = path.substr(path.rfind('/') + 1);
  if (!contents.contains(digest)) {
    co_return (co_await connection.write_response_with({.status = 404}, "unknown")).has_value();
  }
  co_return co_await send(connection, request, now, digest);
}

awaitable<bool> FakeRegistry::send(http::Connection& connection, const http::Request& request,
                                   const Behaviour& now, const std::string& digest) {
  const auto& content = contents[digest];
  auto part = registry::select_range(
      now.ignores_range ? std::nullopt : request.headers.get("Range"), content.size());
  if (part.kind == registry::Selection::Kind::whole) part = {part.kind, 0, content.size()};
  http::Response response{.headers = now.headers, .body = {now.framing, part.length}};
  if (part.kind != registry::Selection::Kind::whole) {
    response.status = part.kind == registry::Selection::Kind::part ? 206 : 416;
    response.headers.add("Content-Range", registry::content_range(part, content.size()));
  } else if (now.claims) {
    response.body.bytes = *now.claims;
  }
  const bool manifest = request.target.find("/manifests/") != std::string::npos;
  response.headers.add("Content-Type", manifest ? media_type : "application/octet-stream");
  response.headers.add("Docker-Content-Digest", digest);
  if (!co_await connection.write_response(response)) co_return false;
  if (request.method == "HEAD") co_return true;
  co_return co_await send_body(connection, now, content, part);
}

awaitable<bool> FakeRegistry::send_body(http::Connection& connection, const Behaviour& now,
                                        std::string content, registry::Selection part) {
  if (now.wrong_at) content.at(*now.wrong_at) ^= 1;
  auto end = part.first + part.length;
  const auto stop = now.cut_at ? now.cut_at : now.stall_at;
  if (stop) end = std::clamp<std::uint64_t>(*stop, part.first, end);
  const auto text = std::string_view(content).substr(part.first, end - part.first);
  if (!co_await connection.write_body(as_bytes(text))) co_return false;
  if (now.stall_at) co_await clock_.sleep_for(std::chrono::hours(1));
  if (!stop) co_return (co_await connection.finish_body()).has_value();
  if (now.reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.stream().plain_socket(), SOL_SOCKET, SO_LINGER, &at_once,
                 sizeof at_once);
    connection.stream().close();
  }
  co_return false;
}

std::string noise(std::size_t size, unsigned seed) {
  std::string result(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  for (char& c : result) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    c = static_cast<char>(state >> 56);
  }
  return result;
}

}  // namespace hagring::test
