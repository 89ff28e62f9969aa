// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/sim/report.hpp"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace hagring::herd::sim {
namespace {

using Figures = std::vector<std::pair<const char*, double>>;

Figures figures(const Comparison& comparison) {
  const Outcomes& outcomes = comparison.outcomes;
  const double single = comparison.single_seconds;
  const auto count = [](std::size_t value) { return static_cast<double>(value); };
  Figures all = {
      {"single_seconds", single},
      {"last_by_single", comparison.last()},
      {"median_by_single", comparison.median()},
  };
  if (!outcomes.slow_seconds.empty()) {
    all.emplace_back("last_slow_by_single", outcomes.slow_seconds.back() / single);
  }
  all.insert(all.end(), {{"origin_images", outcomes.origin_images},
                         {"origin_requests", count(outcomes.origin_requests)},
                         {"depth", outcomes.depth},
                         {"messages_per_node", outcomes.messages},
                         {"message_bytes_per_node", outcomes.message_bytes},
                         {"messages_busiest_node", count(outcomes.busiest)},
                         {"coordinators", count(outcomes.coordinators)},
                         {"parents_lost", count(outcomes.lost_parents)},
                         {"gave_up", count(outcomes.gave_up)},
                         {"unfinished", count(outcomes.unfinished)}});
  for (auto& [name, value] : all) value = std::round(value * 1000) / 1000;
  return all;
}

}  // namespace

double Comparison::median() const {
  const auto& seconds = outcomes.seconds;
  if (seconds.empty() || single_seconds == 0) return 0;
  return seconds[seconds.size() / 2] / single_seconds;
}

Comparison compare(const SimulationOptions& options) {
  SimulationOptions alone;
  alone.seed = options.seed;
  alone.nodes = 1;
  alone.layers = options.layers;
  alone.at_a_time = options.at_a_time;
  alone.rate = options.rate;
  alone.origin_rate = options.origin_rate;
  alone.origin_window = options.origin_window;
  alone.latency = options.latency;
  alone.whole = options.whole;
  return {options, Simulation(alone).run().last(), Simulation(options).run()};
}

std::string as_text(const Comparison& comparison) {
  std::string text =
      fmt::format("seed {}\nnodes {}\n", comparison.options.seed, comparison.options.nodes);
  for (const auto& [name, value] : figures(comparison)) {
    text += fmt::format("  {:<24} {:>12.10g}\n", name, value);
  }
  for (const std::string& broken : comparison.outcomes.broken) text += "BROKEN: " + broken + "\n";
  return text;
}

std::string as_json(const Comparison& comparison) {
  nlohmann::ordered_json document;
  document["seed"] = comparison.options.seed;
  document["nodes"] = comparison.options.nodes;
  for (const auto& [name, value] : figures(comparison)) document[name] = value;
  document["broken"] = comparison.outcomes.broken;
  return document.dump(2) + "\n";
}

}  // namespace hagring::herd::sim
