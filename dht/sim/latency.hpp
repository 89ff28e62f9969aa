// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "dht/kad/rng.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::sim {

/// How long a message takes one way.
enum class LatencyModel {
  constant,  ///< 1 ms
  uniform,   ///< 0.2 to 5 ms
  lan,       ///< median 0.25 ms, long-tailed; one of 200 is held up for 10 to 200 ms
  wan,       ///< up to 80 ms by where the two are on a map, and some jitter
};

/// The model of that name; nullopt when there is none.
std::optional<LatencyModel> latency_model(std::string_view name);

/// One message's time from `from` to `to`.
Duration latency(LatencyModel model, kad::Rng& rng, const kad::PeerId& from, const kad::PeerId& to);

}  // namespace hagring::sim
