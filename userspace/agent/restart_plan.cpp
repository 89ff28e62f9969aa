// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/restart_plan.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "userspace/base/atomic_file.hpp"
#include "userspace/egress/proxy_settings.hpp"
#include "userspace/redirect/proc_file.hpp"

namespace hagring::agent {
namespace {

/// Their pods go on running (KillMode=process), and nothing but the runtime and kubelet is in them.
constexpr std::array<std::string_view, 3> kHarmless{"containerd.service", "k3s-agent.service",
                                                    "rke2-agent.service"};
constexpr std::string_view kMicroK8s = "snap.microk8s.";
constexpr std::array<std::string_view, 2> kServers{"k3s.service", "rke2-server.service"};

constexpr std::size_t kMaxMark = 256;

bool is_one_of(const auto& list, const std::string& unit) {
  return std::find(list.begin(), list.end(), unit) != list.end();
}

std::string refusal_of(const std::string& unit, const std::string& named) {
  if (unit.empty()) return "containerd is in no systemd service's control group";
  if (!named.empty() && named != unit) {
    return fmt::format("--restart-unit says {}, but containerd belongs to {}", named, unit);
  }
  if (unit == named || is_one_of(kHarmless, unit) || unit.starts_with(kMicroK8s)) return {};
  if (is_one_of(kServers, unit)) {
    return fmt::format(
        "{0} is the cluster's API server, too, and is restarted only where "
        "--restart-unit {0} says so",
        unit);
  }
  return fmt::format("{0} isn't known, and is restarted only where --restart-unit {0} says so",
                     unit);
}

}  // namespace

RestartPlan plan_restart(const std::string& cgroup_path, const std::string& named) {
  auto unit = systemd::service_of(cgroup_path);
  auto refusal = refusal_of(unit, named);
  return {.unit = std::move(unit), .refusal = std::move(refusal)};
}

RestartPlan check_plan(RestartPlan plan, const std::string& cgroup_path,
                       const systemd::Unit& unit) {
  if (!plan.refusal.empty()) return plan;
  // In a container, or a node in one, systemd may see less of the path than we do, or more: ends
  // are compared. It may be another host's systemd altogether.
  const auto& group = unit.control_group;
  const auto at = cgroup_path.find(group + "/");
  const bool same = !group.empty() && (cgroup_path.ends_with(group) || at != std::string::npos);
  if (!same) {
    plan.refusal = fmt::format("systemd's {} is in control group '{}', and containerd in {}",
                               plan.unit, group, cgroup_path);
  } else if (unit.active_state != "active") {
    plan.refusal = fmt::format("{} is {}", plan.unit, unit.active_state);
  } else if (!unit.dependents.empty()) {
    plan.refusal = fmt::format("systemd would restart or stop {} with {}",
                               fmt::join(unit.dependents, ", "), plan.unit);
  }
  return plan;
}

RestartPlan check_environment(RestartPlan plan, std::string_view environ,
                              const std::string& ca_directory) {
  if (!plan.refusal.empty()) return plan;
  const auto variables = egress::parse_environment(environ);
  const auto found = variables.find("SSL_CERT_DIR");
  if (found == variables.end() || found->second.empty()) return plan;
  std::istringstream list(found->second);
  for (std::string directory; std::getline(list, directory, ':');) {
    const auto named = std::filesystem::path(directory).lexically_normal();
    if (named == ca_directory || named == ca_directory + "/") return plan;
  }
  plan.refusal = fmt::format("its SSL_CERT_DIR, {}, leaves out {}: that has to be changed before",
                             found->second, ca_directory);
  return plan;
}

awaitable<RestartPlan> consider_restart(systemd::ServiceManager& systemd,
                                        RestartCandidate candidate, std::string named) {
  const auto& cgroup_path = candidate.cgroup_path;
  auto plan = plan_restart(cgroup_path, named);
  const auto environ = redirect::read_proc_file(fmt::format("/proc/{}/environ", candidate.pid));
  if (environ) plan = check_environment(std::move(plan), *environ, candidate.ca_directory);
  if (!plan.refusal.empty()) co_return plan;
  const auto unit = co_await systemd.inspect(plan.unit);
  if (!unit) {
    plan.refusal =
        fmt::format("systemd can't be asked about {}: {}", plan.unit, unit.error().message());
    co_return plan;
  }
  co_return check_plan(std::move(plan), cgroup_path, *unit);
}

RestartMark::RestartMark(const std::filesystem::path& state_dir, std::filesystem::path boot_id)
    : file_(state_dir / "runtime-restarted"), boot_id_(std::move(boot_id)) {}

Result<std::string> RestartMark::boot() const {
  TRY(auto text, read_small_file(boot_id_, kMaxMark));
  if (text.size() < 2) return Errc::not_found;
  return text;
}

bool RestartMark::is_set() const {
  const auto now = boot();
  if (!now) return true;
  const auto then = read_small_file(file_, kMaxMark);
  if (then) return *then == *now;
  return then.error() != Errc::not_found;
}

Result<void> RestartMark::set() const {
  TRY(const auto now, boot());
  return write_file_atomically(file_, now, 0644);
}

std::string describe_restart(const RestartPlan& plan, bool once, bool restarted) {
  if (!plan.refusal.empty()) {
    return fmt::format("containerd must be restarted by hand to trust the CA; {}", plan.refusal);
  }
  if (!once) {
    return fmt::format(
        "{0} must be restarted to let containerd trust the CA; "
        "`--restart-runtime once` would do it",
        plan.unit);
  }
  if (restarted) {
    return fmt::format(
        "{} must be restarted to let containerd trust the CA, and has been "
        "restarted by an agent once since this machine started: not again",
        plan.unit);
  }
  return fmt::format("{} will be restarted to let containerd trust the CA", plan.unit);
}

}  // namespace hagring::agent
