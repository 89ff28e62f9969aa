// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/agent_lock.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

/// For people only: what counts is the lock.
void write_holder(int lock) {
  const auto text = fmt::format("{}\n", ::getpid());
  const bool written = ::ftruncate(lock, 0) == 0 && ::pwrite(lock, text.data(), text.size(), 0) ==
                                                        static_cast<ssize_t>(text.size());
  if (!written)
    log::debug("agent", "the lock can't tell our pid: {}", last_system_error().message());
}

/// The pid that the lock's holder has written; empty if it can't be told.
std::string holder_of(const std::string& admin_socket) {
  constexpr std::size_t kMaxDigits = 20;
  const auto text = read_small_file(agent_lock_of(admin_socket), kMaxDigits);
  if (!text) return {};
  const auto digits = text->substr(0, text->find('\n'));
  return digits.find_first_not_of("0123456789") == std::string::npos ? digits : std::string();
}

}  // namespace

std::string agent_lock_of(const std::string& admin_socket) { return admin_socket + ".lock"; }

std::string agent_holds(const std::string& admin_socket) {
  const auto pid = holder_of(admin_socket);
  return fmt::format(
      "another agent{} holds {}: stop it first, take its place (hagring agent --takeover true), or "
      "use an --admin-socket, --pin-dir and --state-dir of its own",
      pid.empty() ? "" : fmt::format(" (pid {})", pid), admin_socket);
}

UniqueFd try_agent_lock(const std::string& admin_socket) {
  const auto lock_path = agent_lock_of(admin_socket);
  UniqueFd lock(::open(lock_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (!lock) {
    throw StartError(
        fmt::format("{}: {}: check --admin-socket", lock_path, last_system_error().message()));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
  // The former holder may have removed the file between our open and our lock.
  struct stat held{}, there{};
  const bool same = ::fstat(lock.get(), &held) == 0 && ::stat(lock_path.c_str(), &there) == 0 &&
                    held.st_ino == there.st_ino;
  if (!same) return {};
  write_holder(lock.get());
  return lock;
}

UniqueFd hold_agent_lock(const std::string& admin_socket) {
  auto lock = try_agent_lock(admin_socket);
  if (!lock) throw StartError(agent_holds(admin_socket));
  return lock;
}

}  // namespace hagring::agent
