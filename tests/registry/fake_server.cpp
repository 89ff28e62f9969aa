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
  if (behaviour.status) {
    http::Response response{.status = *behaviour.status, .headers = behaviour.headers};
    if (!behaviour.location.empty()) response.headers.add("Location", behaviour.location);
    co_return (co_await connection.write_response_with(response, "refused")).has_value();
  }
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path.starts_with("/v2/")) {
    if (const auto tag = tags.find(path.substr(4)); tag != tags.end()) {
      const auto digest = tag->second.to_string();
      co_return co_await send(connection, request, digest, contents[digest]);
    }
  }
  const auto digest = path.substr(path.rfind('/') + 1);
  const auto content = contents.find(digest);
  if (content == contents.end()) {
    co_return (co_await connection.write_response_with({.status = 404}, "unknown")).has_value();
  }
  co_return co_await send(connection, request, digest, content->second);
}

awaitable<bool> FakeRegistry::send(http::Connection& connection, const http::Request& request,
                                   const std::string& digest, const std::string& content) {
  auto part = registry::select_range(
      behaviour.ignores_range ? std::nullopt : request.headers.get("Range"), content.size());
  if (part.kind == registry::Selection::Kind::whole) part = {part.kind, 0, content.size()};
  http::Response response{.headers = behaviour.headers,
                          .body = {http::BodyLength::Kind::length, part.length}};
  if (part.kind != registry::Selection::Kind::whole) {
    response.status = part.kind == registry::Selection::Kind::part ? 206 : 416;
    response.headers.add("Content-Range", registry::content_range(part, content.size()));
  }
  const bool manifest = request.target.find("/manifests/") != std::string::npos;
  response.headers.add("Content-Type", manifest ? media_type : "application/octet-stream");
  response.headers.add("Docker-Content-Digest", digest);
  if (!co_await connection.write_response(response)) co_return false;
  if (request.method == "HEAD") co_return true;
  std::string bytes = content;
  if (behaviour.wrong_at) bytes.at(*behaviour.wrong_at) ^= 1;
  auto end = part.first + part.length;
  const auto stop = behaviour.cut_at ? behaviour.cut_at : behaviour.stall_at;
  if (stop) end = std::clamp<std::uint64_t>(*stop, part.first, end);
  const auto text = std::string_view(bytes).substr(part.first, end - part.first);
  if (!co_await connection.write_body(as_bytes(text))) co_return false;
  if (behaviour.stall_at) co_await clock_.sleep_for(std::chrono::hours(1));
  if (!stop) co_return (co_await connection.finish_body()).has_value();
  if (behaviour.reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.stream().plain_socket(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
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
