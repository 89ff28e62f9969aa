// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/admin_server.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>

#include "userspace/agent/agent_lock.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using Protocol = asio::local::stream_protocol;

constexpr std::size_t kMaxConnections = 16;
constexpr auto kIdle = 10s;
/// sun_path less its NUL (unix(7)).
constexpr std::size_t kMaxPath = 107;

}  // namespace

AdminServer::AdminServer(asio::any_io_executor executor, std::string path, Pages pages)
    : path_(std::move(path)),
      pages_(std::move(pages)),
      acceptor_(executor),
      tasks_(executor, "admin") {
  if (path_.size() > kMaxPath) {
    throw StartError(
        fmt::format("--admin-socket {}: a socket's path has at most {} bytes", path_, kMaxPath));
  }
  error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  lock_ = hold_agent_lock(path_);
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      throw StartError(fmt::format("--admin-socket {}: something else is there", path_));
    }
    ::unlink(path_.c_str());
  }
  acceptor_.open(Protocol());
  const auto mask = ::umask(0177);
  acceptor_.bind(Protocol::endpoint(path_), error);
  ::umask(mask);
  if (!error) acceptor_.listen(kMaxConnections, error);
  if (error) throw StartError(fmt::format("--admin-socket {}: {}", path_, error.message()));
}

AdminServer::~AdminServer() {
  // The lock tells that the file is ours.
  ::unlink(path_.c_str());
  ::unlink(agent_lock_of(path_).c_str());
}

void AdminServer::start() {
  tasks_.spawn([this] { return accept(); });
}

awaitable<void> AdminServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<void> AdminServer::accept() {
  SystemClock clock;
  while (acceptor_.is_open()) {
    auto [error, socket] = co_await acceptor_.async_accept(kTuple);
    if (is_cancelled(error) || error == asio::error::bad_descriptor) co_return;
    if (error) {
      log::warning("admin", "can't accept a connection: {}", error.message());
      co_await clock.sleep_for(100ms);  // out of descriptors, say: don't spin
      continue;
    }
    if (tasks_.size() > kMaxConnections) continue;
    auto shared = std::make_shared<Protocol::socket>(std::move(socket));  // one owner: the task
    tasks_.spawn([this, shared] { return serve(std::move(*shared)); });
  }
}

awaitable<void> AdminServer::serve(Protocol::socket socket) {
  auto stream = std::make_unique<SocketStream>(std::move(socket));
  stream->set_inactivity_limit(kIdle);
  http::Connection connection(std::move(stream));
  while (true) {
    const auto request = co_await connection.read_request();
    if (!request || !co_await connection.skip_body(4096)) co_return;
    const auto answered = co_await answer(request->method, request->target);
    const auto& body = answered.body;
    http::Response response;
    response.status = answered.status;
    response.headers.add("Content-Type", "application/json");
    response.keep_alive = request->keep_alive;
    response.body = {http::BodyLength::Kind::length, body.size()};
    const bool head_only = request->method == "HEAD";
    if (!co_await connection.write_response(response, head_only)) co_return;
    if (!head_only && !co_await connection.write_body(as_bytes(body))) co_return;
    if (!co_await connection.finish_body() || !connection.reusable()) co_return;
  }
}

awaitable<AdminAnswer> AdminServer::answer(std::string method, std::string target) {
  if (method != "GET" && method != "HEAD") co_return AdminAnswer{405, R"({"error":"GET only"})"};
  const auto parts = http::split_target(target);
  const auto page = parts ? pages_.find(parts->path) : pages_.end();
  if (page == pages_.end()) co_return AdminAnswer{404, R"({"error":"no such page"})"};
  co_return co_await page->second(std::string(parts->query));
}

}  // namespace hagring::agent
