// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace hagring::agent {

/// With fewer file descriptors an agent isn't started: a connection that was led to it and can't be
/// carried costs a pull, one that never was doesn't.
inline constexpr std::uint64_t kFewestDescriptors = 1024;

/// Raises this process's limit of descriptors to what it is allowed, and returns that.
std::uint64_t raise_descriptor_limit();

/// How many descriptors this process may have.
std::uint64_t descriptor_limit();

/// Connections that can be carried at once.
struct Capacity {
  std::uint64_t clients = 0;  ///< intercepted ones
  std::uint64_t peers = 0;    ///< those of other nodes
};

/// What so many descriptors are enough for, the limits that are set not exceeded. A client's
/// connection has at most 8 (itself, two addresses of an origin that are tried, two pipes, a file),
/// and twice as many clients are let in while the kernel is about to stop leading more to us
/// (proxy::Listener); a peer's has 2; 192 are for everything else.
Capacity capacity_for(std::uint64_t descriptors, Capacity limits);

}  // namespace hagring::agent
