// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <map>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::agent {

/// What a page answers: JSON.
struct AdminAnswer {
  unsigned status = 200;
  std::string body;
};

/// The Unix socket that `hagring status` and friends ask: HTTP/1.1, `GET` answers JSON. Root only
/// (mode 0600 in a directory 0755). Runs on the control executor.
class AdminServer {
 public:
  /// Makes a page's answer from the query of its target.
  using Page = std::function<awaitable<AdminAnswer>(std::string query)>;
  using Pages = std::map<std::string, Page, std::less<>>;  ///< by path

  /// Binds and listens. A socket file that nobody listens on any more is replaced.
  /// Throws StartError: another agent answers there, or the path can't be used.
  AdminServer(asio::any_io_executor executor, std::string path, Pages pages);
  /// Removes the socket file, if it is still this one's.
  ~AdminServer();

  void start();
  awaitable<void> stop();

 private:
  awaitable<void> accept();
  awaitable<void> serve(asio::local::stream_protocol::socket socket);
  awaitable<AdminAnswer> answer(std::string method, std::string target);

  std::string path_;
  const Pages pages_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
  UniqueFd lock_;
};

}  // namespace hagring::agent
