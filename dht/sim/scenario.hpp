// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dht/sim/report.hpp"

namespace hagring::sim {

/// What is done to a network, one thing after the other; what is zero is left out.
struct ScenarioOptions {
  SimulationOptions network;
  std::size_t searches = 1000;
  Duration steady{0};     ///< time in which what providing costs is measured
  double churn = 0;       ///< share of the nodes replaced in a minute, of that time
  double kill = 0;        ///< share of the nodes killed at once
  Duration partition{0};  ///< how long a third of the nodes is split off
  bool rolling_restart = false;
  double restart_share = 0.01;                       ///< nodes that are down at the same time
  Duration restart_pause = std::chrono::seconds(3);  ///< how long each is down
};

/// Runs it and measures. `progress` is told what comes next.
Report run(const ScenarioOptions& options, const std::function<void(const std::string&)>& progress);

}  // namespace hagring::sim
