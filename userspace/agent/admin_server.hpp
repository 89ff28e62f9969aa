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
  /// Throws StartError: the path can't be one of a socket.
  AdminServer(asio::any_io_executor executor, std::string path, Pages pages);
  /// Removes the socket file, if it is this one's.
  ~AdminServer();

  /// Binds and listens, unless another agent has the path. A socket file that nobody listens on any
  /// more is replaced. Throws StartError: the path can't be used.
  bool try_claim();
  /// The same. Throws StartError, too, when another agent has the path.
  void claim();
  /// Waits until the other agent has let go. False: not within `limit`. Throws as claim().
  awaitable<bool> claim_within(Clock& clock, Duration limit);

  /// Answers from now on; after a claim.
  void start();
  /// Ends all connections and lets go of the path.
  awaitable<void> stop();

  const std::string& path() const { return path_; }

 private:
  awaitable<void> accept();
  void release();

  std::string path_;
  const Pages pages_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
  UniqueFd lock_;
};

}  // namespace hagring::agent
