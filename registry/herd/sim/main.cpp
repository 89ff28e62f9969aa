// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "registry/herd/sim/report.hpp"
#include "userspace/base/version.hpp"

namespace hagring::herd::sim {
namespace {

// Exit codes, listed in the help text below.
constexpr int kBroken = 1;
constexpr int kBadUsage = 2;

constexpr const char* kFooter =
    "Times are each node's from its own start. The same seed and options give the same run.\n"
    "Exit codes: 0 done, 1 something that must hold did not (the lines BROKEN) or a node didn't\n"
    "finish, 2 wrong usage.\n";

struct Arguments {
  SimulationOptions simulation;
  std::vector<double> layers_mib = {32, 16, 8, 8};
  double rate_mbit = 1000;
  double latency_ms = 1;
  double spread_ms = 0;
  double partition_ms = 0;
  double floor_kib = 64;
  std::string fault = "none";
  bool json = false;
};

void add_cluster_options(CLI::App& app, Arguments& arguments) {
  SimulationOptions& simulation = arguments.simulation;
  app.add_option("--nodes", simulation.nodes, "nodes that pull the image")
      ->check(CLI::Range(1, 20'000))
      ->capture_default_str();
  app.add_option("--seed", simulation.seed, "from which all chance comes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--spread-ms", arguments.spread_ms, "time over which they start")
      ->check(CLI::Range(0.0, 60'000.0))
      ->capture_default_str();
  app.add_option("--layers", arguments.layers_mib, "the layers' sizes in MiB")
      ->check(CLI::Range(0.001, 4096.0))
      ->capture_default_str();
  app.add_option("--rate-mbit", arguments.rate_mbit, "a node's link, each way")
      ->check(CLI::Range(1.0, 100'000.0))
      ->capture_default_str();
  app.add_option("--origin-rate", simulation.origin_rate, "the origin's link, in nodes' links")
      ->check(CLI::Range(0.1, 1000.0))
      ->capture_default_str();
  app.add_option("--origin-window", simulation.origin_window,
                 "pieces from the origin under way to a node; 8 to a child")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--latency-ms", arguments.latency_ms, "between any two nodes, one way")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  app.add_option("--zones", simulation.zones, "zones with a fetcher each")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_flag("--small", simulation.whole, "layers are fetched whole, nothing is streamed");
}

void add_trouble_options(CLI::App& app, Arguments& arguments) {
  SimulationOptions& simulation = arguments.simulation;
  const auto share = CLI::Range(0.0, 1.0);
  app.add_option("--slow", simulation.slow_share, "share of nodes at a quarter of the rate")
      ->check(share);
  app.add_flag("--slow-known", simulation.slow_known, "they know that they are slow");
  app.add_option("--no-credentials", simulation.no_credentials, "share that may not fetch")
      ->check(share);
  app.add_option("--missing", simulation.missing, "share of nodes that another doesn't know")
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--upload-capped", simulation.upload_capped, "share that serves nobody")
      ->check(share);
  app.add_option("--fault", arguments.fault, "what happens half-way through the largest layer")
      ->check(CLI::IsMember({"none", "kill-fetcher", "hang-fetcher", "kill-middle", "hang-middle",
                             "kill-coordinator", "hang-coordinator", "liar"}))
      ->capture_default_str();
  app.add_option("--partition-ms", arguments.partition_ms,
                 "a third of the nodes is split off from 100 ms on for so long")
      ->check(CLI::Range(0.0, 60'000.0));
  app.add_option("--floor-kib", arguments.floor_kib,
                 "a member that streams less a second goes on alone; 0: never")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "the report as JSON");
}

Duration in_ms(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(count));
}

void apply(Arguments& arguments) {
  SimulationOptions& simulation = arguments.simulation;
  simulation.layers.clear();
  for (const double mib : arguments.layers_mib) {
    simulation.layers.push_back(static_cast<std::uint64_t>(mib * 1024 * 1024));
  }
  simulation.rate = arguments.rate_mbit * 1e6 / 8;
  simulation.latency = in_ms(arguments.latency_ms);
  simulation.handshake = in_ms(4 * arguments.latency_ms);
  simulation.member_options.floor = static_cast<std::uint64_t>(arguments.floor_kib * 1024);
  simulation.spread = in_ms(arguments.spread_ms);
  if (arguments.partition_ms > 0) {
    simulation.partition_from = milliseconds(100);
    simulation.partition_until = milliseconds(100) + in_ms(arguments.partition_ms);
  }
  const std::string& fault = arguments.fault;
  const Fault kind = fault.starts_with("hang") ? Fault::hang : Fault::kill;
  if (fault.ends_with("fetcher")) simulation.fetcher = kind;
  if (fault.ends_with("middle")) simulation.middle = kind;
  if (fault.ends_with("coordinator")) simulation.coordinator = kind;
  simulation.liar = fault == "liar";
}

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs hagring's herds, one download for many nodes, on simulated links."};
  app.set_version_flag("--version", std::string(kVersion));
  app.footer(kFooter);
  add_cluster_options(app, arguments);
  add_trouble_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  apply(arguments);
  try {
    const Comparison comparison = compare(arguments.simulation);
    std::fputs((arguments.json ? as_json(comparison) : as_text(comparison)).c_str(), stdout);
    return comparison.outcomes.broken.empty() && comparison.outcomes.unfinished == 0 ? 0 : kBroken;
  } catch (const std::exception& error) {
    fmt::print(stderr, "the simulation failed, which is a fault of its own: {}\n", error.what());
    return kBroken;
  }
}

}  // namespace
}  // namespace hagring::herd::sim

int main(int argc, char** argv) { return hagring::herd::sim::main(argc, argv); }
