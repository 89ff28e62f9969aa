// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/admin_server.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>

#include "userspace/agent/agent_lock.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using Protocol = asio::local::stream_protocol;

constexpr std::size_t kMaxConnections = 16;
/// sun_path less its NUL (unix(7)).
constexpr std::size_t kMaxPath = 107;

/// How often a path is tried that another agent is about to leave.
constexpr auto kRetry = 10ms;

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
}

AdminServer::~AdminServer() { release(); }

bool AdminServer::try_claim() {
  error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  lock_ = try_agent_lock(path_);
  if (!lock_) return false;
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      ::unlink(agent_lock_of(path_).c_str());
      lock_ = {};
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
  return true;
}

void AdminServer::claim() {
  if (!try_claim()) throw StartError(agent_holds(path_));
}

awaitable<bool> AdminServer::claim_within(Clock& clock, Duration limit) {
  const auto end = clock.now() + limit;
  while (!try_claim()) {
    if (clock.now() >= end || co_await asked_to_stop()) co_return false;
    co_await clock.sleep_for(kRetry);
  }
  co_return true;
}

/// The lock tells that the files are ours.
void AdminServer::release() {
  if (!lock_) return;
  ::unlink(path_.c_str());
  ::unlink(agent_lock_of(path_).c_str());
  lock_ = {};
}

void AdminServer::start() {
  tasks_.spawn([this] { return accept(); });
}

awaitable<void> AdminServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  tasks_.cancel();
  co_await tasks_.drain();
  release();
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
    tasks_.spawn([this, shared] {
      return serve_pages(std::make_unique<SocketStream>(std::move(*shared)), pages_);
    });
  }
}

}  // namespace hagring::agent
