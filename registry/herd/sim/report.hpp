// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "registry/herd/sim/simulation.hpp"

namespace hagring::herd::sim {

/// A cluster's pull beside that of one node alone, with the same links.
struct Comparison {
  SimulationOptions options;
  double single_seconds = 0;
  Outcomes outcomes;

  /// How many times as long as one node alone the last one took, of those with fast links.
  double last() const { return single_seconds == 0 ? 0 : outcomes.last() / single_seconds; }
  double median() const;
};

/// Runs both.
Comparison compare(const SimulationOptions& options);

/// For people: a line a figure, and the lines BROKEN.
std::string as_text(const Comparison& comparison);
/// For programs: "seed", "nodes", the figures, and "broken", a list of texts.
std::string as_json(const Comparison& comparison);

}  // namespace hagring::herd::sim
