// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"
#include "userspace/systemd/service_manager.hpp"

namespace hagring::agent {

/// A runtime that a restart would let trust the CA.
struct RestartCandidate {
  std::string cgroup_path{};
  pid_t pid = 0;
  std::string ca_directory{};  ///< where the CA is, as the host names it

  bool operator==(const RestartCandidate&) const = default;
};

/// The runtime's unit, which a restart would be of.
struct RestartPlan {
  std::string unit{};     ///< empty: the runtime is in no unit's control group
  std::string refusal{};  ///< why we don't restart it, as a sentence's part; empty: we may

  bool operator==(const RestartPlan&) const = default;
};

/// By the control group that the runtime is in alone: units that are known to be restarted without
/// harm to pods, K3s' and RKE2's servers (which are the API server, too) and others only when they
/// are `named`.
RestartPlan plan_restart(const std::string& cgroup_path, const std::string& named);
/// What systemd's word makes of the plan: the unit must be the one that the runtime is in, run, and
/// have no other that systemd would restart along with it.
RestartPlan check_plan(RestartPlan plan, const std::string& cgroup_path, const systemd::Unit& unit);
/// What a process's environment makes of the plan: with an SSL_CERT_DIR that leaves out the CA's
/// directory it would look elsewhere again (crypto/x509/root_unix.go).
RestartPlan check_environment(RestartPlan plan, std::string_view environ,
                              const std::string& ca_directory);
/// All three, with systemd asked.
awaitable<RestartPlan> consider_restart(systemd::ServiceManager& systemd,
                                        RestartCandidate candidate, std::string named);

/// That the runtime has been restarted since the machine started: a file with the boot's id, so
/// that neither a crash nor another agent in this one's place restarts it again.
class RestartMark {
 public:
  /// `boot_id`: the kernel's (random(4)).
  explicit RestartMark(const std::filesystem::path& state_dir,
                       std::filesystem::path boot_id = "/proc/sys/kernel/random/boot_id");

  /// Whether it is set for this boot, or it can't be known.
  bool is_set() const;
  /// Before the restart. Errors: Errc::not_found without a boot id, or the system's.
  Result<void> set() const;

 private:
  Result<std::string> boot() const;

  std::filesystem::path file_;
  std::filesystem::path boot_id_;
};

/// What is to be done about a restart that is due, as a sentence. `once`: --restart-runtime once;
/// `restarted`: it has been in this boot.
std::string describe_restart(const RestartPlan& plan, bool once, bool restarted);

}  // namespace hagring::agent
