// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <optional>

#include "dht/sim/scenario.hpp"
#include "userspace/base/version.hpp"

namespace hagring::sim {
namespace {

// Exit codes, listed in the help text below.
constexpr int kBroken = 1;
constexpr int kBadUsage = 2;

constexpr const char* kFooter =
    "A round is a wait for an answer; messages are requests, counted on the simulated wire.\n"
    "The same seed and options give the same run.\n"
    "Exit codes: 0 done, 1 something that must hold did not (the lines BROKEN), 2 wrong usage.\n";

struct Arguments {
  ScenarioOptions scenario;
  std::optional<std::uint64_t> seed;
  double steady_minutes = 0;
  double partition_minutes = 0;
  double pause_seconds = 3;
  std::string latency = "uniform";
  bool json = false;
};

void add_network_options(CLI::App& app, Arguments& arguments) {
  SimulationOptions& network = arguments.scenario.network;
  app.add_option("--nodes", network.nodes, "nodes at the start")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "from which all chance comes; default: the clock")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--keys-per-node", network.keys_per_node, "keys that each node provides")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--starts-per-second", network.starts_per_second, "how fast nodes come up")
      ->check(CLI::Range(0.1, 10'000.0))
      ->capture_default_str();
  app.add_option("--latency", arguments.latency,
                 "one way: constant (1 ms), uniform (0.2 to 5 ms), lan (0.25 ms, long-tailed),\n"
                 "wan (up to 80 ms)")
      ->check(CLI::IsMember({"constant", "uniform", "lan", "wan"}))
      ->capture_default_str();
  app.add_option("--loss", network.network.loss, "share of exchanges that get no answer")
      ->check(CLI::Range(0.0, 0.9));
  app.add_flag("--wire", network.network.wire, "encode and decode every message, count bytes");
  app.add_option("--alpha", network.kad.lookups.alpha, "queries of a search in flight")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
}

void add_event_options(CLI::App& app, Arguments& arguments) {
  ScenarioOptions& scenario = arguments.scenario;
  app.add_option("--searches", scenario.searches, "searches that are measured")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  CLI::Option* steady =
      app.add_option("--steady", arguments.steady_minutes, "minutes in which traffic is measured")
          ->check(CLI::Range(0.0, 10'000.0));
  app.add_option("--churn", scenario.churn, "share of nodes replaced each of those minutes")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(steady);
  app.add_flag("--rolling-restart", scenario.rolling_restart, "restart every node");
  app.add_option("--restart-share", scenario.restart_share, "share of nodes down at a time")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--restart-pause", arguments.pause_seconds, "seconds that each is down")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--partition", arguments.partition_minutes,
                 "minutes for which a third of the nodes is split off")
      ->check(CLI::Range(0.0, 10'000.0));
  app.add_option("--kill", scenario.kill, "share of nodes killed at once")
      ->check(CLI::Range(0.0, 0.95));
  app.add_flag("--json", arguments.json, "the report as JSON");
}

/// What CLI11 can't check; empty when all is well.
std::string contradiction(const Arguments& arguments) {
  const ScenarioOptions& scenario = arguments.scenario;
  const bool searches =
      scenario.rolling_restart || arguments.partition_minutes > 0 || scenario.kill > 0;
  if (searches && scenario.network.keys_per_node == 0) {
    return "--rolling-restart, --partition and --kill look for keys: --keys-per-node can't be 0";
  }
  if (searches && scenario.network.nodes < 2) {
    return "--rolling-restart, --partition and --kill need --nodes 2 or more";
  }
  return {};
}

template <typename Unit>
Duration in(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, Unit>(count));
}

int simulate(Arguments& arguments) {
  ScenarioOptions& scenario = arguments.scenario;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  scenario.network.network.latency = *latency_model(arguments.latency);
  scenario.network.seed = arguments.seed.value_or(static_cast<std::uint64_t>(now));
  scenario.steady = in<std::ratio<60>>(arguments.steady_minutes);
  scenario.partition = in<std::ratio<60>>(arguments.partition_minutes);
  scenario.restart_pause = in<std::ratio<1>>(arguments.pause_seconds);
  const auto begin = std::chrono::steady_clock::now();
  const auto wall = [&begin] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  fmt::print(stderr, "seed {}\n", scenario.network.seed);
  Report report = run(scenario, [&](const std::string& text) {
    fmt::print(stderr, "{:7.1f} s  {}\n", wall(), text);
  });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  report.set_seed(scenario.network.seed);
  report.section("run");
  report.add("nodes", scenario.network.nodes);
  report.add("wall_time", wall(), "s");
  report.add("peak_memory", static_cast<double>(usage.ru_maxrss) / 1024, "MiB");
  std::fputs((arguments.json ? report.json() : report.text()).c_str(), stdout);
  return report.broken().empty() ? 0 : kBroken;
}

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs a network of hagring's DHT nodes in virtual time and measures it."};
  app.set_version_flag("--version", std::string(kVersion));
  app.footer(kFooter);
  add_network_options(app, arguments);
  add_event_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  if (const std::string text = contradiction(arguments); !text.empty()) {
    fmt::print(stderr, "{}\nRun with --help for more information.\n", text);
    return kBadUsage;
  }
  try {
    return simulate(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "the simulation failed, which is a fault of its own: {}\n", error.what());
    return kBroken;
  }
}

}  // namespace
}  // namespace hagring::sim

int main(int argc, char** argv) { return hagring::sim::main(argc, argv); }
