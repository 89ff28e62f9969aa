// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::agent {

/// The Unix socket that `hagring status` asks: HTTP/1.1, `GET /status` answers JSON. Root only
/// (mode 0600 in a directory 0755). Runs on the control executor.
class AdminServer {
 public:
  using MakeStatus = std::function<std::string()>;

  /// Binds and listens. A socket file that nobody listens on any more is replaced.
  /// Throws StartError: another agent answers there, or the path can't be used.
  AdminServer(asio::any_io_executor executor, std::string path, MakeStatus make_status);
  /// Removes the socket file, if it is still this one's.
  ~AdminServer();

  void start();
  awaitable<void> stop();

 private:
  awaitable<void> accept();
  awaitable<void> serve(asio::local::stream_protocol::socket socket);

  std::string path_;
  MakeStatus make_status_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
  UniqueFd lock_;
};

}  // namespace hagring::agent
