// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/status.hpp"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>

#include "userspace/base/deadline.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::cli {
namespace {

using namespace std::chrono_literals;

constexpr int kNoAgent = 3;
/// A status document is small: recent pulls are bounded.
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

awaitable<Result<std::string>> ask(std::string socket_path) {
  asio::local::stream_protocol::socket socket(co_await asio::this_coro::executor);
  CO_CHECK(connect(socket, socket_path));
  http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
  http::Request request;
  request.target = "/status";
  request.headers = {{"Host", "localhost"}};
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(auto response, co_await connection.read_response("GET"));
  if (response.status != 200) co_return Errc::bad_message;
  std::string document;
  Bytes buffer(64 * 1024);
  while (true) {
    CO_TRY(auto size, co_await connection.read_body(buffer));
    if (size == 0) co_return document;
    document += as_text(ByteView(buffer).first(size));
    if (document.size() > kMaxDocument) co_return Errc::too_large;
  }
}

}  // namespace

int show_status(const StatusOptions& options) {
  if (options.socket.size() > 107) {  // sun_path, unix(7)
    std::fprintf(stderr, "hagring: --admin-socket %s is longer than a socket's path may be\n",
                 options.socket.c_str());
    return kNoAgent;
  }
  asio::io_context context(1);
  SystemClock clock;
  auto answer =
      asio::co_spawn(context, with_deadline(clock, 10s, ask(options.socket)), asio::use_future);
  context.run();
  const auto document = answer.get();
  if (!document) {
    std::fprintf(stderr,
                 "hagring: no agent answers at %s (%s). Is `hagring agent` running, with this "
                 "--admin-socket, and are you root?\n",
                 options.socket.c_str(), document.error().message().c_str());
    return kNoAgent;
  }
  std::fputs((options.json ? *document + "\n" : render_status(*document)).c_str(), stdout);
  return 0;
}

}  // namespace hagring::cli
