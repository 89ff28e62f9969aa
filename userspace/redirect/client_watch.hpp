// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/unique_fd.hpp"
#include "userspace/redirect/cgroup.hpp"

namespace hagring::redirect {

/// The process behind a socket.
struct WatchedClient {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< clock ticks since boot
  std::string comm;
  Cgroup cgroup;

  bool operator==(const WatchedClient&) const = default;
};

struct ClientWatchOptions {
  /// Where the client listens; asked at each look, since it may only be found out later.
  std::function<std::string()> socket;
  /// How often a client that is there is looked at again: it may have been moved to another
  /// cgroup, or its cgroup been made anew.
  Duration reconcile_interval = std::chrono::seconds(3);
  /// How often a client that isn't there is looked for.
  Duration search_interval = std::chrono::milliseconds(250);
  std::string proc = "/proc";
};

/// Follows the process that listens on a socket: when it appears, moves, ends and comes again.
/// Whether it is a containerd is for others to find out.
class ClientWatch {
 public:
  /// What the watch tells; called on its executor. A call may not destroy the watch.
  class Observer {
   public:
    virtual ~Observer() = default;
    /// The client is there. Told when it appears or has changed, and again at each reconcile, so
    /// that what has failed can be tried again.
    virtual void client_present(const WatchedClient& client) = 0;
    /// The client has ended, or another process has taken its socket.
    virtual void client_gone(const WatchedClient& client) = 0;
    /// There is none: told at each try.
    virtual void client_missing(const error_code& reason) = 0;
  };

  /// Both arguments outlive the watch.
  ClientWatch(Clock& clock, Observer& observer, ClientWatchOptions options);

  /// Watches until it is cancelled; the client that was there then is not reported gone.
  awaitable<void> run();

 private:
  struct Found {
    WatchedClient client;
    UniqueFd pidfd;
  };
  Result<Found> find() const;
  Result<WatchedClient> look(const std::string& known_cgroup) const;
  awaitable<bool> follow(Found found);

  Clock& clock_;
  Observer& observer_;
  ClientWatchOptions options_;
};

}  // namespace hagring::redirect
