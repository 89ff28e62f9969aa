// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "registry/containerd/config_path.hpp"
#include "userspace/agent/restart_plan.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/base/open_in_root.hpp"
#include "userspace/preflight/preflight.hpp"
#include "userspace/preflight/running_agent.hpp"
#include "userspace/preflight/runtime_process.hpp"
#include "userspace/proxy/trust_store.hpp"
#include "userspace/redirect/cgroup.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::preflight {
namespace {

std::string shown(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

template <typename T>
T wait_for(awaitable<T> operation) {
  asio::io_context context(1);
  auto ended = asio::co_spawn(context, std::move(operation), asio::use_future);
  context.run();
  return ended.get();
}

/// What is known of the ways in which the runtime may come to trust the CA.
struct Ways {
  std::optional<RunningAgent> agent{};  ///< what it says goes before what is seen here
  pid_t pid = 0;                        ///< the runtime's; 0: there is none
  std::optional<WallTime> started{};    ///< the runtime
  std::string config_path{};            ///< its directory of registries that can be used; or empty
  std::string how{};                    ///< that is known
  Result<proxy::InstalledCa> installed = Errc::not_found;
  std::string file{};  ///< in the host's certificates

  /// Whether the runtime may have read its certificates before ours was there.
  bool is_older() const {
    return started && installed && installed->since && *started < *installed->since;
  }
  bool restart_is_due() const {
    return agent && agent->has_client ? !agent->restart.empty() : config_path.empty() && is_older();
  }
};

Ways find_ways(const agent::Config& config) {
  const proxy::TrustStore store(agent::trust_store_options(config));
  Ways ways{.agent = ask_agent(config), .installed = store.installed(), .file = store.path()};
  const auto runtime = find_runtime(config);
  if (!runtime || runtime->pid == 0) return ways;
  ways.pid = runtime->pid;
  const auto ticks = redirect::process_start_time(runtime->pid);
  if (ticks) ways.started = redirect::wall_time_of(*ticks);
  const auto root = agent::mounted_root(config);
  auto found = wait_for(containerd::find_config_path(
      {.socket = runtime->socket, .version = {}, .pid = runtime->pid, .host_root = root}));
  ways.how = std::move(found.how);
  const bool there = !found.directory.empty() &&
                     open_in_root(config.host_root, found.directory, O_RDONLY | O_DIRECTORY);
  if (there) ways.config_path = std::move(found.directory);
  return ways;
}

/// What an agent that runs has had proven, or what one will find.
Check trust_line(const Ways& ways) {
  constexpr auto kName = "trust";
  if (ways.agent && ways.agent->has_client) {
    if (ways.agent->trusted) return {kName, Level::ok, ways.agent->reason};
    return {kName, Level::warning, ways.agent->reason,
            "until it trusts the CA TLS connections are passed through untouched"};
  }
  if (!ways.config_path.empty()) {
    return {
        kName, Level::ok,
        fmt::format("by files in containerd's config_path, {}, which it reads at each pull ({})",
                    ways.config_path, ways.how)};
  }
  if (!ways.installed) {
    return {kName, Level::warning,
            fmt::format("{}: {}", ways.file, ways.installed.error().message()),
            "without it TLS connections are passed through untouched"};
  }
  const auto file = ways.installed->path.string();
  if (!ways.installed->since) {
    return {kName, Level::ok,
            fmt::format("the node's CA will be {}; a containerd that has verified a certificate "
                        "since its start reads it after a restart only",
                        file)};
  }
  if (ways.is_older()) {
    return {kName, Level::warning,
            fmt::format("containerd (since {}) is older than {} (since {})", shown(*ways.started),
                        file, shown(*ways.installed->since)),
            "unless `hagring status` says that it trusts the CA all the same: restart containerd "
            "when it suits; containers go on running"};
  }
  return {kName, Level::ok, fmt::format("{} since {}", file, shown(*ways.installed->since))};
}

/// Container-Optimized OS, Flatcar and the like make /etc anew when the machine starts.
Check reboot_line(const Ways& ways) {
  constexpr auto kName = "after a reboot";
  if (!ways.config_path.empty()) {
    return {kName, Level::ok, "the agent puts its files there again, for the next pull"};
  }
  if (!ways.installed || !ways.installed->stateless) {
    return {kName, Level::ok, "the node's CA is still there"};
  }
  return {kName, Level::warning,
          fmt::format("{} is gone: its file system may begin anew (tmpfs or overlay), as on COS "
                      "and Flatcar",
                      ways.installed->path.string()),
          "let the agent start before containerd (deploy/systemd/hagring.service does), set "
          "containerd's config_path, or restart containerd then (--restart-runtime once)"};
}

Check restart_line(const Ways& ways, const agent::Config& config) {
  constexpr auto kName = "restart";
  const std::string advice =
      "`--restart-runtime once`, or restart it when it suits: containers go on running";
  if (ways.agent && ways.agent->has_client && ways.restart_is_due()) {
    return {kName, Level::warning, ways.agent->restart, advice};
  }
  const auto cgroup = redirect::find_cgroup(ways.pid);
  if (!cgroup) return {kName, Level::ok, "none is due"};
  SystemClock clock;
  systemd::ServiceManager systemd(clock, systemd::bus_socket_below(agent::mounted_root(config)));
  agent::RestartCandidate candidate{
      .cgroup_path = cgroup->path,
      .pid = ways.pid,
      .ca_directory = std::filesystem::path(ways.file).parent_path().string()};
  const auto plan =
      wait_for(agent::consider_restart(systemd, std::move(candidate), config.restart_unit));
  if (ways.restart_is_due()) {
    const bool once = config.restart_runtime == "once";
    const bool restarted = agent::RestartMark(config.state_dir).is_set();
    return {kName, Level::warning, agent::describe_restart(plan, once, restarted), advice};
  }
  return {kName, Level::ok,
          plan.refusal.empty()
              ? fmt::format("none is due; --restart-runtime would restart {}", plan.unit)
              : fmt::format("none is due; if one is, by hand: {}", plan.refusal)};
}

}  // namespace

Checks check_trust(const agent::Config& config) {
  if (!config.install_ca) {
    return {{"trust", Level::warning, "the node's CA isn't put anywhere (--install-ca false)",
             "containerd must trust it by other means, or its connections are passed through"}};
  }
  const auto ways = find_ways(config);
  Checks all{trust_line(ways), reboot_line(ways)};
  if (ways.pid != 0) all.push_back(restart_line(ways, config));
  return all;
}

}  // namespace hagring::preflight
