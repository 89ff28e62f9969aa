// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "userspace/agent/pages.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::agent {

/// The Unix socket that `hagring status` and friends ask: HTTP/1.1, `GET` answers JSON. Root only
/// (mode 0600 in a directory 0755). Runs on the control executor.
class AdminServer {
 public:
  /// Binds and listens. A socket file that nobody listens on any more is replaced.
  /// Throws StartError: another agent answers there, or the path can't be used.
  AdminServer(asio::any_io_executor executor, std::string path, Pages pages);
  /// Removes the socket file, if it is still this one's.
  ~AdminServer();

  void start();
  awaitable<void> stop();

 private:
  awaitable<void> accept();

  std::string path_;
  const Pages pages_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
  UniqueFd lock_;
};

}  // namespace hagring::agent
