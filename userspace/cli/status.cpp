// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/status.hpp"

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

awaitable<Result<std::string>> ask(std::string socket_path) {
  asio::local::stream_protocol::socket socket(co_await asio::this_coro::executor);
  error_code error;
  socket.connect(asio::local::stream_protocol::endpoint(socket_path), error);
  if (error) co_return error;
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
