// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "userspace/agent/hosts_trust.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {

/// What the agent that is to be replaced tells its successor (`POST /takeover/begin`).
struct Predecessor {
  pid_t pid = 0;
  std::string version{};
  std::string authority{};       ///< SHA-256 of its CA's certificate
  pid_t client = 0;              ///< the containerd that it intercepts; 0: none
  std::uint64_t client_start{};  ///< that one's start, in clock ticks since boot
  bool trusted = false;          ///< that containerd trusts the CA by the host's certificates
  std::optional<TrustedFiles> files{};  ///< by which it trusts it, too, or alone
  bool connected = false;               ///< to containerd's store
  bool keeps_layers = false;            ///< of new pulls
  std::size_t nodes = 0;                ///< that it knows of the mesh

  bool operator==(const Predecessor&) const = default;
};

std::string write_predecessor(const Predecessor& predecessor);
/// Errors: Errc::bad_message.
Result<Predecessor> parse_predecessor(std::string_view json);

/// Asks the agent at `socket`, which goes on as before. nullopt: there is none. Throws StartError
/// when it can't be replaced. Blocks, some seconds at the most.
std::optional<Predecessor> meet_predecessor(const std::string& socket);

/// Tells the agent at `socket` that its successor is in place: it lets go of the socket first, then
/// stops to redirect, lets its streams end, and ends. That it has heard shows by the socket.
awaitable<void> dismiss_predecessor(Clock& clock, std::string socket);

}  // namespace hagring::agent
