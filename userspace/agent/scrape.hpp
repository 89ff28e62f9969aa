// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "userspace/agent/status_document.hpp"

namespace hagring::agent {

/// What the agent's parts count themselves, and the process (Prometheus' standard names,
/// "Writing client libraries", process metrics), at the moment of asking. On the control thread.
std::vector<prometheus::MetricFamily> scrape(const StatusSources& sources);

}  // namespace hagring::agent
