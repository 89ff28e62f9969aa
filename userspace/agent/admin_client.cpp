// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/admin_client.hpp"

#include <sys/socket.h>

#include <boost/asio/local/stream_protocol.hpp>

#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::agent {
namespace {

/// The agent's documents are small: recent pulls, and what a lookup finds, are bounded.
constexpr std::size_t kMaxDocument = 16 << 20;

/// connect(2) without waiting: it would for ever, at an agent that hangs while its queue is full.
/// (asio waits when it is told EAGAIN.)
Result<void> connect(asio::local::stream_protocol::socket& socket, const std::string& path) {
  error_code error;
  const asio::local::stream_protocol::endpoint endpoint(path);
  if (socket.open(endpoint.protocol(), error); error) return error;
  if (socket.non_blocking(true, error); error) return error;
  if (::connect(socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) !=
      0) {
    return last_system_error();
  }
  return {};
}

}  // namespace

awaitable<Result<AdminReply>> ask_admin(std::string path, std::string method, std::string target) {
  asio::local::stream_protocol::socket socket(co_await asio::this_coro::executor);
  CO_CHECK(connect(socket, path));
  http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
  http::Request request;
  request.method = method;
  request.target = std::move(target);
  request.headers = {{"Host", "localhost"}};
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(auto response, co_await connection.read_response(method));
  AdminReply reply{response.status, {}};
  Bytes buffer(64 * 1024);
  while (true) {
    CO_TRY(auto size, co_await connection.read_body(buffer));
    if (size == 0) co_return reply;
    reply.document += as_text(ByteView(buffer).first(size));
    if (reply.document.size() > kMaxDocument) co_return Errc::too_large;
  }
}

}  // namespace hagring::agent
