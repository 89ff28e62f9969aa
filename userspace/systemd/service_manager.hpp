// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::systemd {

/// What systemd knows of a unit (org.freedesktop.systemd1(5)).
struct Unit {
  std::string name{};
  std::string active_state{};   ///< "active", "inactive", …
  std::string control_group{};  ///< as /proc/<pid>/cgroup shows it
  /// Units that systemd stops and restarts along with this one: RequiredBy, RequisiteOf, BoundBy,
  /// ConsistsOf, PropagatesStopTo.
  std::vector<std::string> dependents{};

  bool operator==(const Unit&) const = default;
};

/// The unit in whose control group a process is: the innermost service that the path names.
/// Empty: it is in none.
std::string service_of(const std::string& cgroup_path);

/// systemd, over the D-Bus daemon at a socket file. Each call has its own connection and some
/// seconds; it never blocks. Errors: systemd::Errc, hagring::Errc::timed_out.
class ServiceManager {
 public:
  ServiceManager(Clock& clock, std::string bus_socket, Duration limit = std::chrono::seconds(10))
      : clock_(clock), socket_(std::move(bus_socket)), limit_(limit) {}

  awaitable<Result<Unit>> inspect(std::string name);
  /// RestartUnit(name, "replace"): returns when systemd has taken the job, not when it is done.
  awaitable<Result<void>> restart(std::string name);

 private:
  Clock& clock_;
  std::string socket_;
  Duration limit_;
};

/// The D-Bus socket of the host whose root is mounted at `mounted_root`.
std::string bus_socket_below(const std::string& mounted_root);

}  // namespace hagring::systemd
