// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "userspace/redirect/redirector.hpp"

namespace hagring::redirect {

/// Reads map `flows`. Safe from any thread: each call is a system call of its own.
class FlowTable {
 public:
  FlowTable(int map_fd, std::uint32_t max_flows, bool netns_cookie_known)
      : map_fd_(map_fd), max_flows_(max_flows), netns_cookie_known_(netns_cookie_known) {}

  /// See Redirector::find_flow. The entry stays: if a client resets its connection before it is
  /// accepted and takes the same port again, the second connection needs it.
  Result<Flow> find(int accepted_fd) const;

  /// See Redirector::recent_flows.
  std::vector<Flow> recent(std::size_t most) const;

 private:
  int map_fd_;
  std::uint32_t max_flows_;
  bool netns_cookie_known_;
};

}  // namespace hagring::redirect
