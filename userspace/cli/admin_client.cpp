// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/admin_client.hpp"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <utility>

#include "userspace/base/deadline.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::cli {
namespace {

/// The agent's documents are small: recent pulls, and what a lookup finds, are bounded.
constexpr std::size_t kMaxDocument = 16 << 20;
constexpr std::size_t kMaxPath = 107;  // sun_path, unix(7)

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

awaitable<Result<AdminReply>> ask(std::string socket_path, std::string target) {
  asio::local::stream_protocol::socket socket(co_await asio::this_coro::executor);
  CO_CHECK(connect(socket, socket_path));
  http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
  http::Request request;
  request.target = std::move(target);
  request.headers = {{"Host", "localhost"}};
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(auto response, co_await connection.read_response("GET"));
  AdminReply reply{response.status, {}};
  Bytes buffer(64 * 1024);
  while (true) {
    CO_TRY(auto size, co_await connection.read_body(buffer));
    if (size == 0) co_return reply;
    reply.document += as_text(ByteView(buffer).first(size));
    if (reply.document.size() > kMaxDocument) co_return Errc::too_large;
  }
}

}  // namespace

Result<AdminReply> ask_agent(const std::string& socket, std::string target, Duration limit) {
  if (socket.size() > kMaxPath) return Errc::unsupported;
  asio::io_context context(1);
  SystemClock clock;
  auto answer = asio::co_spawn(context, with_deadline(clock, limit, ask(socket, std::move(target))),
                               asio::use_future);
  context.run();
  return answer.get();
}

std::optional<AdminReply> ask_agent_or_tell(const std::string& socket, std::string target,
                                            Duration limit) {
  if (socket.size() > kMaxPath) {
    std::fprintf(stderr, "hagring: --admin-socket %s is longer than a socket's path may be\n",
                 socket.c_str());
    return std::nullopt;
  }
  auto reply = ask_agent(socket, std::move(target), limit);
  if (reply) return std::move(*reply);
  std::fprintf(stderr,
               "hagring: no agent answers at %s (%s). Is `hagring agent` running, with this "
               "--admin-socket, and are you root?\n",
               socket.c_str(), reply.error().message().c_str());
  return std::nullopt;
}

}  // namespace hagring::cli
