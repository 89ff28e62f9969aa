// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/unique_fd.hpp"

namespace hagring::agent {

/// The file that the agent with this admin socket locks for its life.
std::string agent_lock_of(const std::string& admin_socket);

/// That another agent has the lock, and what to do, for people.
std::string agent_holds(const std::string& admin_socket);

/// The lock, none if another agent has it, or is just ending. Throws StartError: the file can't be
/// made.
UniqueFd try_agent_lock(const std::string& admin_socket);

/// Takes that lock, so that two agents never share a socket and nothing is removed under a running
/// one: the kernel lets the lock go however the process ends. Throws StartError: another holds it,
/// or the file can't be made.
UniqueFd hold_agent_lock(const std::string& admin_socket);

}  // namespace hagring::agent
