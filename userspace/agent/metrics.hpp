// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/pull_record.hpp"

namespace hagring::agent {

/// Counters and histograms of what passes by, for Prometheus. Registries are the only label that
/// the network chooses: those that aren't mirrored, and any beyond 64, are `other`.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  /// Counts an answered request of an intercepted client. Any thread.
  void answered(const registry::Pull& pull);

  /// Counts a search of the DHT: how long its first provider took, nullopt if there was none.
  void looked_up(std::optional<Duration> first_provider);

  /// Everything, and `others`, in Prometheus' text format 0.0.4. Any thread.
  std::string render(const std::vector<prometheus::MetricFamily>& others) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// How a request ended, as a metric's label says it.
std::string_view result_of(const registry::Pull& pull);

}  // namespace hagring::agent
